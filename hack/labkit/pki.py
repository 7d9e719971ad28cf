"""The certificates of the lab's own Kubernetes: one CA, and what upstream's components need of it.

Every file is made once; a lab lives for hours, its certificates for a year.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEAR = datetime.timedelta(days=365)


class Authority:
    """A CA kept in `folder` as NAME.crt and NAME.key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        if not (folder / f"{name}.crt").exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _name(name, ())
            self._write(
                name, _builder(subject, subject, key.public_key(), True).sign(key, hashes.SHA256()), key
            )
        self._certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        self._key = load_key(folder / f"{name}.key")

    def issue(self, file: str, user: str, groups: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> None:
        """Writes FILE.crt and FILE.key unless they exist: a client certificate, or with `names` a serving
        one too.
        """
        if (self.folder / f"{file}.crt").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if names else [])]
        builder = _builder(_name(user, groups), self._certificate.subject, key.public_key(), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(n) for n in names]), critical=False
            )
        self._write(file, builder.sign(self._key, hashes.SHA256()), key)

    def _write(self, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        # The certificate comes last: its presence says that the pair is whole.
        write_key(self.folder / f"{file}.key", key)
        (self.folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(*encoding))


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no EC key")
    return key


def ensure_service_account_key(folder: Path) -> None:
    """Makes sa.key and sa.pub: ES256 signs the lab's service-account tokens."""
    if (folder / "sa.pub").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(folder / "sa.key", key)
    public = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(key.public_key().public_bytes(*public))


def _name(user: str, groups: tuple[str, ...]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, authority: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        **dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        ),
        **dict.fromkeys(("encipher_only", "decipher_only"), False),
    )
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now, now + _YEAR)
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return builder.add_extension(usage, critical=True)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
