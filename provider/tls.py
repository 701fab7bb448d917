"""The one place that decides what protected means: TLS 1.2 or newer, a certificate that checks out, the right name.

There is no switch that turns a check off. A private authority is trusted by naming its certificates in
``Account.ca_file`` (or ``Smtp.ca_file``). What OpenSSL says is sorted into ``ErrorKind`` values here, each with a
sentence that says what helps.
"""

import ssl
from pathlib import Path

from .errors import ErrorKind, InvalidRequest, Needs, TlsRefused

__all__ = ["make_context", "not_spoken", "refusal"]

CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
"""What CPython has by default, said aloud: some distributions build theirs with the system's choice, where level 1
still takes RSA keys of 1,024 bits."""

VERIFY_KINDS = {
    9: ErrorKind.TLS_CERTIFICATE_NOT_YET_VALID,
    10: ErrorKind.TLS_CERTIFICATE_EXPIRED,
    2: ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER,
    19: ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER,
    20: ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER,
    21: ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER,
    18: ErrorKind.TLS_CERTIFICATE_SELF_SIGNED,
    62: ErrorKind.TLS_CERTIFICATE_NAME,
    64: ErrorKind.TLS_CERTIFICATE_NAME,
    66: ErrorKind.TLS_CERTIFICATE_WEAK,
    67: ErrorKind.TLS_CERTIFICATE_WEAK,
    68: ErrorKind.TLS_CERTIFICATE_WEAK,
}
"""X509_V_ERR_* numbers of OpenSSL (x509_vfy.h), stable since 1.1."""

REASON_KINDS = {
    "UNSUPPORTED_PROTOCOL": ErrorKind.TLS_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": ErrorKind.TLS_VERSION,
    "WRONG_SSL_VERSION": ErrorKind.TLS_VERSION,
    "NO_PROTOCOLS_AVAILABLE": ErrorKind.TLS_VERSION,
    "WRONG_VERSION_NUMBER": ErrorKind.TLS_NOT_SPOKEN,
    "RECORD_LAYER_FAILURE": ErrorKind.TLS_NOT_SPOKEN,
    "DH_KEY_TOO_SMALL": ErrorKind.TLS_CERTIFICATE_WEAK,
    "EE_KEY_TOO_SMALL": ErrorKind.TLS_CERTIFICATE_WEAK,
    "CA_KEY_TOO_SMALL": ErrorKind.TLS_CERTIFICATE_WEAK,
    "CA_MD_TOO_WEAK": ErrorKind.TLS_CERTIFICATE_WEAK,
    "WRONG_SIGNATURE_TYPE": ErrorKind.TLS_CERTIFICATE_WEAK,
}

TEXTS = {
    ErrorKind.TLS_CERTIFICATE_EXPIRED: "The certificate of {host} has expired; its operator has to renew it "
    "(or this computer's clock is ahead).",
    ErrorKind.TLS_CERTIFICATE_NOT_YET_VALID: "The certificate of {host} is not valid yet; check this computer's clock.",
    ErrorKind.TLS_CERTIFICATE_NAME: "The certificate shown is not one for {host}; check the host name of the account.",
    ErrorKind.TLS_CERTIFICATE_SELF_SIGNED: "The certificate of {host} vouches for itself only; "
    "name it in the account's ca_file if it is yours.",
    ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER: "The certificate of {host} comes from an issuer that is not trusted "
    "here, or the server does not send the whole chain; name the issuer in the account's ca_file if it is yours.",
    ErrorKind.TLS_CERTIFICATE_WEAK: "The keys or signatures of {host} are too weak to protect anything; "
    "its operator has to renew them.",
    ErrorKind.TLS_CERTIFICATE: "The certificate of {host} is not acceptable.",
    ErrorKind.TLS_VERSION: "{host} speaks only versions of TLS that are broken; TLS 1.2 or newer is needed.",
    ErrorKind.TLS_NOT_SPOKEN: "{host} does not speak TLS on this port; "
    "check the port, or choose STARTTLS for this account.",
    ErrorKind.TLS_HANDSHAKE: "{host} and we could not agree on a protected connection.",
}


def make_context(ca_file: Path | None, account: str) -> ssl.SSLContext:
    """Return the only kind of context we use. Raises InvalidRequest when the *ca_file* of *account* cannot be read."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The ca_file of account {account} holds no certificates that can be read.", needs=Needs.USER
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.hostname_checks_common_name = False  # RFC 9525 §2: only subjectAltName speaks for a host
    return context


def refusal(error: Exception, host: str) -> TlsRefused:
    """Return what a failed handshake means for a person, and the kind for programs."""
    kind = ErrorKind.TLS_HANDSHAKE
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = VERIFY_KINDS.get(error.verify_code, ErrorKind.TLS_CERTIFICATE)
    elif isinstance(error, ssl.SSLError):
        kind = REASON_KINDS.get(error.reason or "", ErrorKind.TLS_HANDSHAKE)
    elif isinstance(error, ValueError):
        kind = ErrorKind.TLS_CERTIFICATE_NAME
    broken = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(
        error, ssl.SSLError | ValueError
    )
    # A line that broke in the handshake, with nothing said against it, may hold the next time.
    return TlsRefused(TEXTS[kind].format(host=host), kind=kind, needs=Needs.RECONNECT if broken else Needs.USER)


def not_spoken(opening: bytes) -> TlsRefused:
    """Return the refusal for a server that answered our first TLS octets with something else, *opening*."""
    kind = ErrorKind.TLS_NOT_SPOKEN
    return TlsRefused(TEXTS[kind].format(host="The server"), kind=kind, server_text=opening)
