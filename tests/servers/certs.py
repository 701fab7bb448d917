"""Certificates for tests, good ones and one for each way to be bad, made by the openssl command line.

Room: tests/servers. Nothing is committed: each test session makes its own, and a private key never leaves
its directory. RFC 5280; the cases are those a mail client must refuse before it sends a credential.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["BadCertificate", "Certificate", "CertificateShop"]

NAME = "localhost"
ADDRESS = "127.0.0.1"

_CONFIG = """
[ca]
default_ca = shop
[shop]
database = {directory}/index.txt
serial = {directory}/serial
new_certs_dir = {directory}
unique_subject = no
policy = anything
default_md = sha256
email_in_dn = no
[anything]
commonName = supplied
"""


class BadCertificate(Enum):
    """Ways for a certificate to deserve refusal. IP_WITHOUT_SAN is bad only for the address 127.0.0.1."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_NAME = "wrong-name"
    SELF_SIGNED = "self-signed"
    UNKNOWN_CA = "unknown-ca"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WEAK_KEY = "weak-key"
    SHA1 = "sha1"
    WILDCARD_MISUSE = "wildcard-misuse"
    IP_WITHOUT_SAN = "ip-without-san"
    NUL_IN_NAME = "nul-in-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Paths of a PEM chain (leaf first) and its private key."""

    chain: Path
    key: Path

    def server_context(
        self,
        *,
        minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
        ciphers: str = "DEFAULT",
    ) -> ssl.SSLContext:
        """Return a server context. Security level 0, or OpenSSL would refuse to *offer* what tests must refuse."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        context.minimum_version = minimum
        context.maximum_version = maximum
        context.load_cert_chain(self.chain, self.key)
        return context


class CertificateShop:
    """Makes certificates in *directory*, each once. `authority` is the CA file that a client should trust."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            raise RuntimeError("the openssl command is needed to make test certificates")
        self.directory = directory
        self._made: dict[str, Certificate] = {}
        self._root = self._authority("root")
        self._intermediate = self._authority("intermediate", issuer=self._root)

    @property
    def authority(self) -> Path:
        return self._root.chain

    def client_context(self) -> ssl.SSLContext:
        """Return a default client context that trusts only this shop's authority."""
        return ssl.create_default_context(cafile=str(self.authority))

    def good(self) -> Certificate:
        """Return a certificate for localhost and 127.0.0.1, signed by the intermediate, chain complete."""
        return self._leaf("good", issuer=self._intermediate)

    def named(self, *names: str) -> Certificate:
        """Return a good certificate for other names, signed by the intermediate, chain complete."""
        text = ",".join(f"DNS:{name}" for name in names)
        return self._leaf(f"named {' '.join(names)}", issuer=self._intermediate, subject=names[0], names=text)

    def bad(self, kind: BadCertificate) -> Certificate:
        """Return the certificate with that one fault."""
        name = kind.value
        match kind:
            case BadCertificate.EXPIRED:
                return self._leaf(name, issuer=self._root, start="20200101000000Z", end="20210101000000Z")
            case BadCertificate.NOT_YET_VALID:
                return self._leaf(name, issuer=self._root, start="20980101000000Z", end="20990101000000Z")
            case BadCertificate.WRONG_NAME:
                return self._leaf(name, issuer=self._root, subject="mail.example.net", names="DNS:mail.example.net")
            case BadCertificate.SELF_SIGNED:
                return self._leaf(name, issuer=None)
            case BadCertificate.UNKNOWN_CA:
                return self._leaf(name, issuer=self._authority("stranger"))
            case BadCertificate.MISSING_INTERMEDIATE:
                return self._leaf(name, issuer=self._intermediate, whole_chain=False)
            case BadCertificate.WEAK_KEY:
                return self._leaf(name, issuer=self._root, key_options=("rsa:1024",))
            case BadCertificate.SHA1:
                return self._leaf(name, issuer=self._root, digest="sha1")
            case BadCertificate.WILDCARD_MISUSE:
                return self._leaf(name, issuer=self._root, subject="*", names="DNS:*,DNS:local*,DNS:*.0.0.1")
            case BadCertificate.IP_WITHOUT_SAN:
                return self._leaf(name, issuer=self._root, subject=ADDRESS, names=f"DNS:{NAME}")
            case BadCertificate.NUL_IN_NAME:
                return self._leaf(name, issuer=self._root, names=f"DER:{_names_with_nul()}")

    # -- making ---------------------------------------------------------------------------------

    def _authority(self, name: str, issuer: Certificate | None = None) -> Certificate:
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        return self._make(name, subject=f"maildock test {name}", extensions=extensions, issuer=issuer)

    def _leaf(
        self,
        name: str,
        *,
        issuer: Certificate | None,
        subject: str = NAME,
        names: str = f"DNS:{NAME},IP:{ADDRESS}",
        whole_chain: bool = True,
        **options: object,
    ) -> Certificate:
        extensions = f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n"
        made = self._make(name, subject=subject, extensions=extensions, issuer=issuer, **options)  # type: ignore[arg-type]
        if whole_chain and issuer is self._intermediate and b"BEGIN" in (pem := issuer.chain.read_bytes()):
            leaf = made.chain.read_bytes()
            if pem not in leaf:
                made.chain.write_bytes(leaf + pem)
        return made

    def _make(
        self,
        name: str,
        *,
        subject: str,
        extensions: str,
        issuer: Certificate | None,
        key_options: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        start: str = "20240101000000Z",
        end: str = "20970101000000Z",
        digest: str = "sha256",
    ) -> Certificate:
        if name in self._made:
            return self._made[name]
        directory = self.directory / name
        directory.mkdir(parents=True)
        key, request, chain = directory / "key.pem", directory / "request.pem", directory / "chain.pem"
        (directory / "index.txt").touch()
        (directory / "serial").write_text("01\n")
        (directory / "extensions").write_text(extensions)
        config = directory / "openssl.cnf"
        config.write_text(_CONFIG.format(directory=directory))
        _openssl("req", "-new", "-nodes", "-newkey", *key_options, "-keyout", key, "-out", request,
                 "-subj", f"/CN={subject}", "-config", _request_config(directory))  # fmt: skip
        signer = ("-selfsign", "-keyfile", key) if issuer is None else ("-cert", issuer.chain, "-keyfile", issuer.key)
        _openssl("ca", "-batch", "-notext", "-config", config, *signer, "-in", request, "-out", chain, "-md", digest,
                 "-startdate", start, "-enddate", end, "-extfile", directory / "extensions")  # fmt: skip
        key.chmod(0o600)
        self._made[name] = Certificate(chain=chain, key=key)
        return self._made[name]


def _request_config(directory: Path) -> Path:
    """Return a configuration for `openssl req`, so that the machine's own plays no part."""
    path = directory / "request.cnf"
    path.write_text("[req]\ndistinguished_name = name\n[name]\n")
    return path


def _names_with_nul() -> str:
    """Return, as hex DER, a subjectAltName whose one DNS name is `localhost`, NUL, `.example.net`."""
    name = b"localhost\0.example.net"
    general = b"\x82" + bytes([len(name)]) + name  # [2] dNSName
    return (b"\x30" + bytes([len(general)]) + general).hex(":")


def _openssl(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr}")
