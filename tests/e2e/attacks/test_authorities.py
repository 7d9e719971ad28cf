"""Whom the control plane believes: what a tenant has signed leads nowhere, and old authorities end."""

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from vcp.certificates import key_pem

from ..conftest import LabUser, eventually, meanwhile
from ..objects import pod
from ..tenants.conftest import DISTROS, Tenant, Vcp, new_name

REFUSED = ("x509", "certificate", "Unauthorized", "must be logged in", "provide credentials")


@pytest.fixture(params=DISTROS)
def signing(request: pytest.FixtureRequest, lab: LabUser, tmp_path: Path) -> Iterator[Tenant]:
    """A tenant of each distro that has requests signed."""
    made = Tenant(Vcp(lab, tmp_path), new_name())
    options = ("--distro", request.param, "--set", "certificates.signing=true")
    made.vcp.run("create", made.name, *options)
    yield made
    made.vcp.run("delete", made.name, "--yes", "--unprotect")


def signed(tenant: Tenant, folder: Path, user: str) -> Path:
    """A client certificate by the tenant's own signer, in files: their path without its ending."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    wanted = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {
        "request": base64.b64encode(wanted.public_bytes(Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    request = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
    request["metadata"] = {"name": user}
    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(request))
    tenant.kubectl("certificate", "approve", user)
    text = eventually("a certificate", lambda: tenant.get("csr", user)["status"].get("certificate"))
    (folder / f"{user}.crt").write_bytes(base64.b64decode(text))
    (folder / f"{user}.key").write_bytes(key_pem(key))
    return folder / user


def asked(tenant: Tenant, service: str, port: int, certificate: Path | None) -> str:
    """The HTTP code of the syncer, asked from its own node; 000 if there was no TLS."""
    (syncer,) = tenant.host_pods("syncer")
    address = tenant.vcp.lab.get("-n", tenant.namespace, "service", service)["spec"]["clusterIP"]
    shown = ("--cert", f"{certificate}.crt", "--key", f"{certificate}.key") if certificate else ()
    url = f"https://{address}:{port}/healthz"
    answer = tenant.vcp.lab.run(
        *tenant.vcp.lab.on(syncer),
        *("curl", "-sSkm5", "-o", "/dev/null", "-w", "%{http_code}", *shown, url),
        check=False,
    )
    assert answer.returncode not in {7, 28}, answer.stderr  # refused by the syncer, not on the way to it
    return str(answer.stdout)


def who(tenant: Tenant, certificate: Path) -> str:
    """What the API says to a certificate that is asked for Namespaces."""
    flags = (f"--client-certificate={certificate}.crt", f"--client-key={certificate}.key")
    none = ("--kubeconfig=/dev/null", "--insecure-skip-tls-verify")
    address = tenant.vcp.lab.get("-n", tenant.namespace, "service", "api")["spec"]["clusterIP"]
    answer = tenant.vcp.lab.run(
        "kubectl", *none, f"--server=https://{address}", *flags, "get", "namespaces", check=False
    )
    return f"{answer.stdout}{answer.stderr}"


@contextlib.contextmanager
def watching(tenant: Tenant, kubeconfig: Path) -> Iterator[list[str]]:
    """Asks the API again and again by one kubeconfig; gives the refusals. An API that is away is none."""
    refusals: list[str] = []
    answers: list[bool] = []

    def ask() -> None:
        answer = tenant.vcp.lab.run(
            *("kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=5s", "get", "namespaces"),
            check=False,
        )
        answers.append(answer.returncode == 0)
        refusals.extend(line for line in answer.stderr.splitlines() if any(word in line for word in REFUSED))

    with meanwhile(ask, pause=0.2):
        eventually("a first answer", lambda: any(answers))
        yield refusals
        seen = len(answers)  # one of the last may have met an API server that was being replaced
        eventually("an answer at the end", lambda: any(answers[seen:]))


def test_what_the_tenant_has_signed_reaches_the_api_alone_and_rotation_ends_it(
    signing: Tenant, tmp_path: Path
) -> None:
    mallory = signed(signing, tmp_path, "mallory")
    assert 'User "mallory" cannot list' in who(signing, mallory)
    for service, port in (("kubelet", 10250), ("syncer", 8443), ("syncer", 4443)):
        for certificate in (mallory, None):
            assert asked(signing, service, port, certificate) == "000", (service, port, certificate)
    signing.kubectl("apply", "-f", "-", stdin=json.dumps(pod("stays", "sleep", "3600")))
    signing.kubectl("wait", "--for=condition=Ready", "pod/stays", "--timeout=60s")

    address = signing.vcp.lab.get("-n", signing.namespace, "service", "api")["spec"]["clusterIP"]

    def kubeconfig(name: str) -> Path:
        user = ("--user", name, "--group", "vcp:admins", "--server", f"https://{address}")
        signing.vcp.run("kubeconfig", signing.name, *user, "-o", str(tmp_path / name))
        return tmp_path / name

    before = kubeconfig("before")
    with watching(signing, before) as refusals:
        signing.vcp.run("certs", "rotate", signing.name, "--announce")
        assert not refusals
    between = kubeconfig("between")
    with watching(signing, between) as refusals:
        signing.vcp.run("certs", "rotate", signing.name, "--overlap", "1s")
        assert not refusals
    assert 'User "mallory" cannot list' in who(signing, mallory)
    after = kubeconfig("after")
    with watching(signing, after) as refusals:
        signing.vcp.run("certs", "rotate", signing.name, "--finish")
        assert not refusals

    assert "Unauthorized" in (said := who(signing, mallory)) or "logged in" in said, said
    for old in (before, between):
        answer = signing.vcp.lab.run("kubectl", f"--kubeconfig={old}", "get", "namespaces", check=False)
        assert any(word in answer.stderr for word in REFUSED), answer
    assert signing.kubectl("exec", "stays", "--", "echo", "here").stdout == "here\n"
    assert signing.get("pod", "stays")["status"]["containerStatuses"][0]["restartCount"] == 0
    signing.kubectl("create", "service", "clusterip", "late", "--tcp=80")
    host = signing.vcp.lab.get("-n", signing.work, "services")["items"]
    assert signing.get("service", "late")["spec"]["clusterIP"] in [one["spec"]["clusterIP"] for one in host]
