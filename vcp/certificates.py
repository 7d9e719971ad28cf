"""Single certificates: made, read and compared. What a tenant needs of them is in vcp/pki.py."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATE = timedelta(minutes=5)  # for clocks that are a little behind ours

Key = ec.EllipticCurvePrivateKey


class Source(Protocol):
    """Where randomness comes from."""

    def ec_key(self) -> Key: ...
    def rsa_key(self) -> rsa.RSAPrivateKey: ...
    def serial(self) -> int: ...
    def secret(self, length: int) -> bytes: ...


class Pair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def authority(name: str, owner: str, key: Key, serial: int, now: datetime, life: timedelta) -> Pair:
    """A self-signed CA that signs leafs only."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, owner),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), key_pem(key))


def leaf(
    signer: Pair,
    key: Key,
    serial: int,
    now: datetime,
    life: timedelta,
    *,
    name: str,
    groups: Sequence[str] = (),
    sans: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
) -> Pair:
    """A certificate that `signer` issues; it never outlives its signer."""
    ca = read(signer.certificate)
    ca_key = read_key(signer.key)
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    usages = [
        *([ExtendedKeyUsageOID.SERVER_AUTH] if server else []),
        *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else []),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(max(now - BACKDATE, ca.not_valid_before_utc))
        .not_valid_after(min(now + life, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_general, sans)), critical=False)
    return Pair(_pem(builder.sign(ca_key, hashes.SHA256())), key_pem(key))


def read(pem: bytes) -> x509.Certificate:
    """The first certificate of a file. Raises ValueError if there is none."""
    return x509.load_pem_x509_certificate(pem)


def split(pem: bytes) -> list[bytes]:
    """The single certificates of a file of many, each as PEM; none of one that holds none."""
    try:
        return [_pem(one) for one in x509.load_pem_x509_certificates(pem)]
    except ValueError:
        return []


def read_key(pem: bytes) -> Key:
    """Raises ValueError if it is not an elliptic-curve key."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key


def key_pem(key: Key | rsa.RSAPrivateKey) -> bytes:
    """PKCS#8, except for RSA keys: k3s reads service.key in the older form."""
    form = serialization.PrivateFormat
    return key.private_bytes(
        serialization.Encoding.PEM,
        form.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else form.PKCS8,
        serialization.NoEncryption(),
    )


def sans(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def subject(certificate: x509.Certificate) -> tuple[str, set[str]]:
    """Common name and organizations: the user and the groups of a Kubernetes client certificate."""
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return "".join(names), {str(group.value) for group in groups}


def signed_by(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    """Whether this very key signed it; expiry is another question."""
    try:
        certificate.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def belongs(certificate: x509.Certificate, key: bytes) -> bool:
    """Whether the private key is the certificate's."""
    try:
        return read_key(key).public_key() == certificate.public_key()
    except ValueError:
        return False


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
