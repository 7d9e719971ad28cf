"""Makes an authority and a certificate for one Service, puts it into the Secret `serving`, and writes the
authority to where the API server looks for it.

SERVICE  the Service's name
TRUSTED  lines of: PATH of an object, POINTER (RFC 6901) to its field
"""

import base64
import datetime
import os

from api import JSON, NAMESPACE, call
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.UTC)


def certificate(subject, key, issuer, issuer_key, *extensions):
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - datetime.timedelta(minutes=5))
    builder = builder.not_valid_after(NOW + datetime.timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256())


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def pem(what):
    return base64.b64encode(what).decode()


if __name__ == "__main__":
    host = f"{os.environ['SERVICE']}.{NAMESPACE}.svc"
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    by = name("authority of the stack")
    root = certificate(by, authority, by, authority, x509.BasicConstraints(ca=True, path_length=0))
    leaf = certificate(name(host), key, by, authority, x509.SubjectAlternativeName([x509.DNSName(host)]))
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    data = {"tls.crt": pem(leaf.public_bytes(encoding)), "tls.key": pem(private)}
    secret = {"metadata": {"name": "serving"}, "type": "kubernetes.io/tls", "data": data}
    call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
    for line in os.environ["TRUSTED"].split("\n"):
        if line:
            path, pointer = line.split()
            patch = [{"op": "add", "path": pointer, "value": pem(root.public_bytes(encoding))}]
            call("PATCH", path, patch, JSON)
