"""Certificates verify as their users verify them, are kept while they serve, and are renewed for a reason."""

import functools
import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from hypothesis import given, settings
from hypothesis import strategies as st

from vcp import certificates, distros, pki
from vcp.errors import RefusedError, UsageError
from vcp.spec import Spec, load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPEC = load("name: tenant-a\ndistro: k8s\nexpose: {tlsSans: [api.example.com, 192.0.2.7]}")


@functools.cache
def first(distro: str = "k8s") -> pki.Material:
    return pki.renew({}, pki.request(load(SPEC.to_mapping(), [("distro", distro)]), ("10.43.1.2",)), NOW)


def again(spec: Spec = SPEC, existing: Mapping[str, bytes] | None = None, at: datetime = NOW) -> pki.Material:
    files = first().files if existing is None else existing
    return pki.renew(files, pki.request(spec, ("10.43.1.2",)), at)


def server_accepts(files: Mapping[str, bytes], ca: str, leaf: str, name: str, at: datetime = NOW) -> None:
    """What a TLS client does with a server's certificate."""
    try:
        subject: verification.Subject = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    store = verification.Store([certificates.read(files[f"{ca}.crt"])])
    verifier = verification.PolicyBuilder().store(store).time(at).build_server_verifier(subject)
    verifier.verify(certificates.read(files[f"{leaf}.crt"]), [])


def chain_holds(files: Mapping[str, bytes], ca: str, leaf: str, at: datetime = NOW) -> None:
    """What a server does with a client's certificate; cryptography's verifier wants a SAN, Go's does not."""
    authority, certificate = certificates.read(files[f"{ca}.crt"]), certificates.read(files[f"{leaf}.crt"])
    certificate.verify_directly_issued_by(authority)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usages
    for link in (authority, certificate):
        assert link.not_valid_before_utc <= at <= link.not_valid_after_utc


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes.default.svc.cluster.local",
        "api.vcp-tenant-a.svc",
        "127.0.0.1",
        "10.43.1.2",
        "api.example.com",
        "192.0.2.7",
    ],
)
def test_the_api_is_trusted_under_all_its_names(name: str) -> None:
    server_accepts(first().files, "server-ca", "api-serving", name)


def test_servers_are_trusted_under_no_other_name_and_by_no_other_authority() -> None:
    files = first().files
    server_accepts(files, "server-ca", "syncer-serving", "kubelet.vcp-tenant-a.svc")
    server_accepts(files, "etcd-server-ca", "etcd-server", "etcd-0.etcd-peers.vcp-tenant-a.svc")
    server_accepts(files, "etcd-peer-ca", "etcd-peer", "etcd-0.etcd-peers.vcp-tenant-a.svc")
    with pytest.raises(verification.VerificationError):
        server_accepts(files, "server-ca", "api-serving", "api.vcp-tenant-b.svc")
    with pytest.raises(verification.VerificationError):
        server_accepts(files, "client-ca", "api-serving", "127.0.0.1")
    with pytest.raises(verification.VerificationError):
        server_accepts(files, "server-ca", "api-serving", "127.0.0.1", NOW + 366 * DAY)
    with pytest.raises(verification.VerificationError):
        server_accepts(files, "client-ca", "admin", "127.0.0.1")


@pytest.mark.parametrize(
    ("leaf", "ca", "user", "groups"),
    [
        ("admin", "user-ca", "vcp:admin", {"vcp:admins"}),
        ("syncer", "client-ca", "vcp:syncer", set()),
        ("dns", "client-ca", "vcp:dns", set()),
        ("controller-manager", "client-ca", "system:kube-controller-manager", set()),
        ("kubelet-client", "kubelet-client-ca", "system:apiserver", {"system:masters"}),
        ("front-proxy", "request-header-ca", "system:auth-proxy", set()),
        ("etcd-client", "etcd-server-ca", "kube-apiserver", set()),
    ],
)
def test_clients_are_who_they_should_be(leaf: str, ca: str, user: str, groups: set[str]) -> None:
    files = first().files
    chain_holds(files, ca, leaf)
    certificate = certificates.read(files[f"{leaf}.crt"])
    assert certificates.subject(certificate) == (user, groups)
    assert certificates.sans(certificate) == set()  # etcd would resolve them


def test_authorities_sign_leafs_only_and_clocks_may_be_behind() -> None:
    for name in pki.AUTHORITIES:
        ca = certificates.read(first().files[f"{name}.crt"])
        constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
        assert (NOW - ca.not_valid_before_utc, ca.not_valid_after_utc - NOW) == (
            timedelta(minutes=5),
            3650 * DAY,
        )


def test_the_service_account_key_is_rsa() -> None:
    key = serialization.load_pem_private_key(first().files["service-account.key"], None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


def test_a_second_run_changes_nothing() -> None:
    assert set(first().issued.values()) == {"missing"}
    for at in (NOW, NOW + 200 * DAY):
        assert again(at=at).issued == {}
        assert again(at=at).files == first().files


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left() -> None:
    later = again(at=NOW + 250 * DAY)
    assert set(later.issued.values()) == {"expires"}
    assert not set(later.issued) & set(pki.AUTHORITIES)
    assert later.expires == NOW + (250 + 365) * DAY
    assert first().expires == NOW + 365 * DAY


def test_a_renewed_authority_keeps_its_key_so_that_nobody_is_locked_out() -> None:
    at = NOW + 2500 * DAY
    later = again(at=at)
    assert set(pki.AUTHORITIES) <= set(later.issued)
    # A kubeconfig with the old authority trusts the new server, and the other way round.
    mixed = {**later.files, "server-ca.crt": first().files["server-ca.crt"]}
    server_accepts(mixed, "server-ca", "api-serving", "127.0.0.1", at)
    assert certificates.signed_by(
        certificates.read(first().files["admin.crt"]), certificates.read(later.files["user-ca.crt"])
    )


def test_a_new_name_reissues_only_what_carries_it() -> None:
    spec = load(SPEC.to_mapping(), [("expose.tlsSans", ["other.example.com"])])
    assert again(spec).issued == {"api-serving": "names changed"}


@pytest.mark.parametrize(
    ("changed", "issued"),
    [
        ({"admin.crt": b""}, {"admin": "missing"}),
        ({"admin.crt": b"x"}, {"admin": "damaged"}),
        ({"admin.key": first().files["dns.key"]}, {"admin": "key changed"}),
        (
            {"admin.crt": first().files["dns.crt"], "admin.key": first().files["dns.key"]},
            {"admin": "authority changed"},
        ),
        (
            {"syncer.crt": first().files["dns.crt"], "syncer.key": first().files["dns.key"]},
            {"syncer": "subject changed"},
        ),
        (
            {"admin.crt": first().files["front-proxy.crt"], "admin.key": first().files["front-proxy.key"]},
            {"admin": "authority changed"},
        ),
    ],
)
def test_what_does_not_serve_is_issued_with_the_reason(
    changed: dict[str, bytes], issued: dict[str, str]
) -> None:
    assert again(existing={**first().files, **changed}).issued == issued


@pytest.mark.parametrize("key", [b"", b"x", first().files["server-ca.key"]])
def test_a_lost_authority_is_never_replaced_by_itself(key: bytes) -> None:
    with pytest.raises(RefusedError, match="client-ca") as error:
        again(existing={**first().files, "client-ca.key": key})
    assert pki.CA_KEYS in error.value.hint


@pytest.mark.parametrize("distro", ["k3s", "k8s"])
def test_nobody_gets_a_key_that_it_does_not_use(distro: str) -> None:
    spec = load(SPEC.to_mapping(), [("distro", distro)])
    bundles = pki.bundles(spec, first(distro).files)
    holders: dict[str, set[str]] = {}
    for secret, files in bundles.items():
        for name in files:
            holders.setdefault(name, set()).add(secret)
    keys = {name: found for name, found in holders.items() if name.endswith(".key") or name == "token"}
    expected = {
        "k3s": {"server-ca.key", "client-ca.key", "request-header-ca.key"},
        "k8s": {"service-account.key"},
    }[distro]
    assert {name for name, found in keys.items() if len(found) > 1} == expected
    assert all(f"{name}.key" in bundles["pki-ca"] for name in pki.AUTHORITIES)
    assert ("token" in holders) == (distro == "k3s")
    assert set(holders) | {pki.ENCRYPTION_KEY} == set(first(distro).files)  # nothing is made for nobody


@pytest.mark.parametrize("distro", ["k8s", "k3s"])
@pytest.mark.parametrize("signing", [False, True])
def test_what_the_tenant_may_have_signed_is_believed_by_the_api_alone(distro: str, signing: bool) -> None:
    spec = load({**SPEC.to_mapping(), "distro": distro, "certificates": {"signing": signing}})
    files = pki.renew({}, pki.request(spec), NOW).files
    shares = pki.bundles(spec, files)
    holders = {secret for secret, names in shares.items() if "csr-ca.key" in names} - {pki.CA_KEYS}
    assert bool(holders) == signing
    assert (files["csr-ca.crt"] in files[pki.CLIENT_CAS]) == signing
    assert files["kubelet-client-ca.crt"] not in files[pki.CLIENT_CAS]
    assert {name for name in shares["pki-syncer"] if name.endswith("ca.crt")} == {
        "server-ca.crt",
        "kubelet-client-ca.crt",
        "request-header-ca.crt",
    }
    assert [leaf.name for leaf in pki.request(spec).leafs if leaf.ca == "kubelet-client-ca"] == [
        "kubelet-client"
    ]
    assert not [leaf.name for leaf in pki.request(spec).leafs if leaf.ca == "csr-ca"]
    arguments = str(distros.of(spec).pod(spec, "10.43.0.0/16", ()).containers)
    assert ("-certificatesigningrequest-signing-controller" in arguments) != signing
    assert "client-ca.key" not in arguments
    assert arguments.count("csr-ca.key") == (4 if signing else 0)


def test_a_user_gets_a_certificate_that_ends() -> None:
    files = first().files
    user = pki.issue_user(files, "jane", ["dev", "ops"], life=timedelta(hours=8), now=NOW)
    chain_holds({**files, "user.crt": user.certificate}, "user-ca", "user")
    certificate = certificates.read(user.certificate)
    assert certificates.subject(certificate) == ("jane", {"dev", "ops"})
    assert certificate.not_valid_after_utc == NOW + timedelta(hours=8)
    assert certificates.belongs(certificate, user.key)


def test_a_syncer_of_an_earlier_version_gets_a_certificate_without_all_rights() -> None:
    files = dict(first().files)
    old = pki.issue_master(files, life=DAY, now=NOW)
    reissued = again(existing={**files, "syncer.crt": old.certificate, "syncer.key": old.key})
    assert reissued.issued == {"syncer": "subject changed"}
    assert certificates.subject(certificates.read(reissued.files["syncer.crt"])) == ("vcp:syncer", set())


def test_the_one_certificate_that_rbac_cannot_bind_ends_and_is_not_stored() -> None:
    files = first().files
    own = pki.issue_master(files, life=timedelta(minutes=7), now=NOW)
    certificate = certificates.read(own.certificate)
    assert certificates.subject(certificate) == ("vcp:create", {"system:masters"})
    assert certificate.not_valid_after_utc == NOW + timedelta(minutes=7)
    assert own.certificate not in files.values()


@pytest.mark.parametrize(
    ("user", "groups", "hours", "said"),
    [
        ("jane", ["system:masters"], 8, "group 'system:masters' is reserved"),
        ("system:admin", [], 8, "user 'system:admin' is reserved"),
        ("vcp:syncer", [], 8, "user 'vcp:syncer' is reserved"),
        ("", [], 8, "does not fit"),
        ("x" * 65, [], 8, "does not fit"),
        ("jane", [], 0, "out of range"),
        ("jane", [], 9000, "out of range"),
    ],
)
def test_some_users_are_refused(user: str, groups: list[str], hours: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        pki.issue_user(first().files, user, groups, life=timedelta(hours=hours), now=NOW)


@settings(max_examples=25)  # signing takes its time
@given(st.integers(0, 3650))
def test_whatever_the_day_the_result_serves_and_is_settled(days: int) -> None:
    at = NOW + days * DAY
    material = again(at=at)
    server_accepts(material.files, "server-ca", "api-serving", "127.0.0.1", at)
    chain_holds(material.files, "user-ca", "admin", at)
    assert again(existing=material.files, at=at).issued == {}
