"""A tenant's key material: what there is, who gets which part of it, and what has to be made anew.

What to keep and what to reissue depends only on the existing files, the request and the current time;
randomness comes from a `Source`. Why so: docs/decisions/0011-pki.md.
"""

import base64
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from vcp import certificates, distros, layout
from vcp.certificates import Key, Pair, Source
from vcp.errors import RefusedError, UsageError
from vcp.spec import Spec
from vcp.spec.durations import duration

ADMINS = "vcp:admins"
CA_KEYS = "pki-ca"  # the Secret that only the CLI reads
ADMIN = "pki-admin"

AUTHORITIES = (
    "server-ca",
    "client-ca",  # clients that are parts of the control plane
    "user-ca",  # people and jobs: the admin, and what `vcp kubeconfig --user` issues
    "csr-ca",  # what the tenant's controller manager signs, if it signs at all
    "kubelet-client-ca",  # the API server, where it calls the syncer; nothing else is let in there
    "request-header-ca",
    "etcd-server-ca",
    "etcd-peer-ca",
)
CLIENT_CAS = "client-cas.crt"
"""The authorities whose clients the tenant's API server believes, in one file."""
SERVICE_ACCOUNT_KEY = "service-account.key"
ENCRYPTION_KEY = "encryption.key"  # 32 bytes in base64: what a secretbox provider takes
TOKEN = "token"  # noqa: S105 (a file name)

# Secret -> what is in it, whatever the distro; the distro adds its own.
_KEYS = {
    "pki-etcd": (
        "etcd-server-ca.crt",
        "etcd-peer-ca.crt",
        "etcd-server.crt",
        "etcd-server.key",
        "etcd-peer.crt",
        "etcd-peer.key",
    ),
    "pki-syncer": (
        "server-ca.crt",
        "kubelet-client-ca.crt",
        "request-header-ca.crt",
        "syncer.crt",
        "syncer.key",
        "syncer-serving.crt",
        "syncer-serving.key",
    ),
    "pki-dns": ("server-ca.crt", "dns.crt", "dns.key"),
    ADMIN: ("server-ca.crt", "admin.crt", "admin.key"),
}


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that is wanted: `name` is its file's, `cn` and `groups` its subject."""

    name: str
    ca: str
    cn: str
    groups: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


class PkiRequest(msgspec.Struct, frozen=True):
    """Everything that `renew` has to know about a tenant."""

    tenant: str
    leafs: tuple[Leaf, ...]
    token: bool  # whether the distro has use for a join token
    clients: tuple[str, ...]  # the authorities whose clients the API server believes
    leaf_life: timedelta
    ca_life: timedelta


class Material(msgspec.Struct, frozen=True):
    """All key material by file name, and why what was made anew was: `{"api-serving": "names changed"}`."""

    files: Mapping[str, bytes]
    issued: Mapping[str, str] = {}
    expires: datetime | None = None
    """When the first certificate ends if nobody renews it."""


class _System:
    """The operating system's randomness."""

    def ec_key(self) -> Key:
        return ec.generate_private_key(ec.SECP256R1())

    def rsa_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def serial(self) -> int:
        return x509.random_serial_number()

    def secret(self, length: int) -> bytes:
        return secrets.token_bytes(length)


SYSTEM: Source = _System()


def request(spec: Spec, addresses: tuple[str, ...] = ()) -> PkiRequest:
    """What a tenant needs; `addresses` are those of its Service `api`, known once the host has given them."""
    etcd = layout.etcd_sans(spec)
    every = [
        Leaf(
            name="api-serving",
            ca="server-ca",
            cn="kube-apiserver",
            sans=layout.api_sans(spec, addresses),
            server=True,
        ),
        Leaf(
            name="syncer-serving", ca="server-ca", cn="vcp:syncer", sans=layout.syncer_sans(spec), server=True
        ),
        Leaf(name="admin", ca="user-ca", cn="vcp:admin", groups=(ADMINS,), client=True),
        Leaf(name="syncer", ca="client-ca", cn="vcp:syncer", client=True),
        Leaf(name="dns", ca="client-ca", cn="vcp:dns", client=True),
        Leaf(name="controller-manager", ca="client-ca", cn="system:kube-controller-manager", client=True),
        Leaf(
            name="kubelet-client",
            ca="kubelet-client-ca",
            cn="system:apiserver",
            groups=("system:masters",),
            client=True,
        ),
        Leaf(name="front-proxy", ca="request-header-ca", cn="system:auth-proxy", client=True),
        # Both usages, because members also call each other and themselves with their own certificate.
        Leaf(name="etcd-server", ca="etcd-server-ca", cn="etcd", sans=etcd, server=True, client=True),
        Leaf(name="etcd-peer", ca="etcd-peer-ca", cn="etcd", sans=etcd, server=True, client=True),
        # No names: etcd would compare them with the address that the connection comes from.
        Leaf(name="etcd-client", ca="etcd-server-ca", cn="kube-apiserver", client=True),
    ]
    used = {file for files in _consumers(spec).values() for file in files}
    life = spec.certificates
    return PkiRequest(
        tenant=spec.name,
        leafs=tuple(leaf for leaf in every if f"{leaf.name}.crt" in used),
        token=TOKEN in used,
        clients=("client-ca", "user-ca", *(("csr-ca",) if spec.certificates.signing else ())),
        leaf_life=duration(life.leaf),
        ca_life=duration(life.ca),
    )


def renew(
    existing: Mapping[str, bytes], request: PkiRequest, now: datetime, source: Source = SYSTEM
) -> Material:
    """The tenant's material: what exists and still serves, and the rest made anew.

    `existing` holds the files of all the tenant's Secrets, or nothing. Raises RefusedError if an authority's
    key is lost while its certificate is in use: a new one would lock everybody out.
    """
    files: dict[str, bytes] = {}
    issued: dict[str, str] = {}
    for name in AUTHORITIES:
        reason = _renew_authority(existing, name, request, now)
        pair = _pair(existing, name)
        if reason or pair is None:
            # The key stays the same, so that everything it has signed stays valid.
            key = certificates.read_key(pair.key) if pair else None
            others = certificates.split(pair.certificate)[1:] if pair else []
            pair = new_authority(name, request, now, source, key)
            pair = Pair(b"".join([pair.certificate, *others]), pair.key)
            issued[name] = reason
        files |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
        if successor := _pair(existing, f"{name}-next"):
            files |= {f"{name}-next.crt": successor.certificate, f"{name}-next.key": successor.key}
    files[CLIENT_CAS] = b"".join(files[f"{name}.crt"] for name in request.clients)
    for leaf in request.leafs:
        signer = Pair(files[f"{leaf.ca}.crt"], files[f"{leaf.ca}.key"])
        pair = _pair(existing, leaf.name)
        reason = _renew_leaf(pair, leaf, signer, now)
        if reason or pair is None:
            pair = _issue(leaf, signer, request.leaf_life, now, source)
            issued[leaf.name] = reason
        files |= {f"{leaf.name}.crt": pair.certificate, f"{leaf.name}.key": pair.key}
    # These never change: data in etcd, issued tokens and k3s's own records depend on them.
    for name in (SERVICE_ACCOUNT_KEY, ENCRYPTION_KEY, *([TOKEN] if request.token else [])):
        if not existing.get(name):
            issued[name] = "missing"
        files[name] = existing.get(name) or _secret(name, source)
    ends = [
        certificates.read(pem).not_valid_after_utc for name, pem in files.items() if name.endswith(".crt")
    ]
    return Material(files=files, issued=issued, expires=min(ends))


def bundles(spec: Spec, files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Secret -> file -> content: each consumer's share, and the authorities' keys for the CLI."""
    both = [name for authority in AUTHORITIES for name in (authority, f"{authority}-next")]
    shares = {
        CA_KEYS: tuple(
            file for name in both for part in ("crt", "key") if (file := f"{name}.{part}") in files
        )
    }
    shares |= _consumers(spec)
    return {secret: {name: files[name] for name in names} for secret, names in shares.items()}


def new_authority(
    name: str, request: PkiRequest, now: datetime, source: Source = SYSTEM, key: Key | None = None
) -> Pair:
    """An authority of the tenant, with a key of its own unless one is given."""
    key = key or source.ec_key()
    return certificates.authority(name, f"vcp:{request.tenant}", key, source.serial(), now, request.ca_life)


def issue_user(
    files: Mapping[str, bytes],
    user: str,
    groups: Collection[str],
    *,
    life: timedelta,
    now: datetime,
    source: Source = SYSTEM,
) -> Pair:
    """A client certificate for a person or a job; `files` must hold user-ca. Raises UsageError.

    A certificate cannot be taken back, so nobody gets one whose rights no RBAC rule could take away.
    """
    for kind, name in [("user", user), *(("group", group) for group in groups)]:
        if not name or len(name) > 64:  # RFC 5280, upper bounds
            raise UsageError(f"{kind} {name!r} does not fit a certificate", hint="use 1 to 64 characters")
        if name.startswith("system:") or (kind == "user" and name.startswith("vcp:")):
            raise UsageError(
                f"{kind} {name!r} is reserved for parts of Kubernetes and vcp",
                hint=f"choose another, and bind it to a role; group {ADMINS} has all rights",
            )
    if not timedelta(minutes=5) <= life <= timedelta(days=365):
        raise UsageError("the certificate's life is out of range", hint="from 5m to 1y, for example --ttl 8h")
    return _client(files, "user-ca", user, groups, life, now, source)


def issue_master(
    files: Mapping[str, bytes], *, life: timedelta, now: datetime, source: Source = SYSTEM
) -> Pair:
    """A client certificate whose rights do not depend on the tenant's RBAC, for this process alone: it is
    stored nowhere. `files` must hold client-ca."""
    return _client(files, "client-ca", "vcp:create", ("system:masters",), life, now, source)


def _client(
    files: Mapping[str, bytes],
    ca: str,
    user: str,
    groups: Collection[str],
    life: timedelta,
    now: datetime,
    source: Source,
) -> Pair:
    signer = Pair(files[f"{ca}.crt"], files[f"{ca}.key"])
    leaf = Leaf(name="user", ca=ca, cn=user, groups=tuple(groups), client=True)
    return _issue(leaf, signer, life, now, source)


def _secret(name: str, source: Source) -> bytes:
    if name == SERVICE_ACCOUNT_KEY:
        return certificates.key_pem(source.rsa_key())
    return base64.b64encode(source.secret(32)) if name == ENCRYPTION_KEY else source.secret(32).hex().encode()


def _consumers(spec: Spec) -> dict[str, tuple[str, ...]]:
    return {**distros.of(spec).keys(spec), **_KEYS}


def _issue(leaf: Leaf, signer: Pair, life: timedelta, now: datetime, source: Source) -> Pair:
    return certificates.leaf(
        signer,
        source.ec_key(),
        source.serial(),
        now,
        life,
        name=leaf.cn,
        groups=leaf.groups,
        sans=leaf.sans,
        server=leaf.server,
        client=leaf.client,
    )


def _pair(existing: Mapping[str, bytes], name: str) -> Pair | None:
    certificate, key = existing.get(f"{name}.crt"), existing.get(f"{name}.key")
    return Pair(certificate, key) if certificate and key else None


def _renew_authority(existing: Mapping[str, bytes], name: str, request: PkiRequest, now: datetime) -> str:
    """Why this authority needs a new certificate; empty if it does not."""
    pair = _pair(existing, name)
    if pair is None:
        if existing.get(f"{name}.crt"):
            raise RefusedError(
                f"the key of {name} of tenant {request.tenant} is lost, and its certificate is in use",
                hint=f"restore the Secret {CA_KEYS}; without it, only a new tenant helps",
            )
        return "missing"
    try:
        certificate = certificates.read(pair.certificate)
    except ValueError:
        certificate = None
    if certificate is None or not certificates.belongs(certificate, pair.key):
        raise RefusedError(
            f"{name} of tenant {request.tenant} is damaged", hint=f"restore the Secret {CA_KEYS}"
        )
    return _aged(certificate, now)


def _renew_leaf(pair: Pair | None, leaf: Leaf, signer: Pair, now: datetime) -> str:
    """Why this certificate has to be issued; empty if it serves."""
    if pair is None:
        return "missing"
    try:
        certificate = certificates.read(pair.certificate)
    except ValueError:
        return "damaged"
    same = {
        "key changed": certificates.belongs(certificate, pair.key),
        "authority changed": certificates.signed_by(certificate, certificates.read(signer.certificate)),
        "names changed": certificates.sans(certificate) == set(leaf.sans),
        "subject changed": certificates.subject(certificate) == (leaf.cn, set(leaf.groups)),
    }
    return next((reason for reason, holds in same.items() if not holds), "") or _aged(certificate, now)


def _aged(certificate: x509.Certificate, now: datetime) -> str:
    """Renewal is due when a third of the life, as the certificate itself says it, is left."""
    end = certificate.not_valid_after_utc
    life = end - certificate.not_valid_before_utc
    return "expires" if end - now < life / 3 else ""
