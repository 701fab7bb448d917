"""The fields that describe a part: type, parameters, file name, transfer encoding.

Room: store.mime. Pure. RFC 2045 §5 and §6, RFC 2183, RFC 2231 (continuations and charsets of parameters). A file name
that leaves this room has no meaning as a path on any platform.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ..errors import MimeLimit
from .charset import clean_line, decode_text, decode_unlabelled, decode_words
from .limits import DEFAULT_LIMITS, MimeLimits

__all__ = ["PartHeader", "read_part_header", "safe_filename"]

_FIELDS = re.compile(
    rb"\ncontent-(type|transfer-encoding|disposition|id|description)[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r';\s*+([^\s=;"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"?+|([^;]*+))',
    re.DOTALL,
)
# Only what quoting needs is unescaped: careless senders write Windows paths.
_QUOTED_PAIR = re.compile(r'\\(["\\])')
_SEGMENT = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?", re.ASCII)
_TOKEN = re.compile(r"[a-z0-9!#$%&'+.^_`{|}~-]{1,100}", re.ASCII)

_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}) | frozenset(
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"
)
_NOT_IN_NAMES = re.compile(r'[<>:"|?*]')
FILENAME_OCTETS_MAX = 200
"""Leaves room for a suffix below the 255 octets that file systems take."""
BOUNDARY_OCTETS_MAX = 256
"""RFC 2046 says 70; some senders do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHeader:
    """What a part says of itself, decoded; types and encodings in lower case."""

    content_type: str
    """``type/subtype``."""
    charset: str = ""
    boundary: bytes = b""
    """Of a multipart; empty when it has none that can be used."""
    filename: str = ""
    """Safe for display and as the last component of a path."""
    disposition: str = ""
    """``inline``, ``attachment``, or what else was written; empty when nothing was."""
    transfer_encoding: str = "7bit"
    content_id: str = ""
    """Without angle brackets."""
    flowed: bool = False
    """format=flowed (RFC 3676)."""
    delsp: bool = False


def read_part_header(block: bytes, default_type: str, limits: MimeLimits = DEFAULT_LIMITS) -> PartHeader:
    """Read the header block of a part (or of a whole message).

    A Content-Type that is not one counts as *default_type* (RFC 2045 §5.2). Raises MimeLimit for a field with more
    parameters than *limits* allow.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    fields: dict[bytes, str] = {}
    for name, value in _FIELDS.findall(b"\n" + block):
        fields.setdefault(name.lower(), decode_unlabelled(value.replace(b"\n", b"")[: limits.line_octets]))
    kind, kind_parameters = _value_and_parameters(fields.get(b"type", ""), limits)
    disposition, parameters = _value_and_parameters(fields.get(b"disposition", ""), limits)
    major, slash, minor = kind.partition("/")
    if not (slash and _TOKEN.fullmatch(major) and _TOKEN.fullmatch(minor)):
        kind = default_type
    boundary = kind_parameters.get("boundary", "").rstrip().encode()
    identity = fields.get(b"id", "").strip()
    return PartHeader(
        content_type=kind,
        charset=_first_word(kind_parameters.get("charset", "")),
        boundary=boundary if len(boundary) <= BOUNDARY_OCTETS_MAX else b"",
        filename=safe_filename(parameters.get("filename") or kind_parameters.get("name", "")),
        disposition=disposition if _TOKEN.fullmatch(disposition) else "",
        transfer_encoding=_first_word(fields.get(b"transfer-encoding", "")) or "7bit",
        content_id=clean_line(identity.removeprefix("<").removesuffix(">")),
        flowed=_first_word(kind_parameters.get("format", "")) == "flowed",
        delsp=_first_word(kind_parameters.get("delsp", "")) == "yes",
    )


def _first_word(text: str) -> str:
    """Return the first word of a token-valued parameter, lower case: some add a comment."""
    return (text.replace("(", " ").replace(";", " ").lower().split() or [""])[0][:100]


def _value_and_parameters(text: str, limits: MimeLimits) -> tuple[str, dict[str, str]]:
    """Return the value before the first semicolon, lower case, and the parameters, decoded, by lower-case name."""
    value = text.partition(";")[0]
    plain: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, (name, quoted, bare) in enumerate(_PARAMETER.findall(text), 1):
        if count > limits.parameters:
            raise MimeLimit(f"a field of this message has more than {limits.parameters} parameters")
        content = _QUOTED_PAIR.sub(r"\1", quoted) if quoted else bare.strip()
        parts = _SEGMENT.fullmatch(name)
        if parts is None or (parts[2] is None and parts[3] is None):
            # RFC 2047 §5 forbids encoded words here; half of the world sends file names that way.
            plain.setdefault(name.lower(), decode_words(content) if name.lower() in ("name", "filename") else content)
        else:
            segments.setdefault(parts[1].lower(), {}).setdefault(int(parts[2] or 0), (content, parts[3] is not None))
    # The extended form says more exactly what the plain one, written for old readers, says too.
    return _first_word(value), plain | {name: _joined(found) for name, found in segments.items()}


def _joined(segments: dict[int, tuple[str, bool]]) -> str:
    """Return a parameter from its segments (RFC 2231 §3 and §4); what comes after a missing one is lost."""
    octets = bytearray()
    charset = "utf-8"
    for number in range(len(segments)):
        if number not in segments:
            break
        text, extended = segments[number]
        if extended:
            if number == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            octets += unquote_to_bytes(text)
        else:
            octets += text.encode()
    return decode_text(bytes(octets), charset)


def safe_filename(name: str) -> str:
    """Return *name* without any meaning but that of a name; empty when nothing is left.

    Only the last path component stays (of both slashes); control, bidirectional and invisible characters and those
    that Windows refuses go; names of devices and hidden files get an underscore; 200 octets of UTF-8 at most, the
    extension kept.

    >>> safe_filename("../../etc/pass\\x00wd"), safe_filename("CON.txt"), safe_filename("..")
    ('passwd', '_CON.txt', '')
    """
    name = unicodedata.normalize("NFC", name[:4_000]).replace("\\", "/").rstrip("/ ").rpartition("/")[2]
    # "Cf" holds the bidirectional overrides: "gpj.exe" must not look like "exe.jpg".
    name = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    name = " ".join(_NOT_IN_NAMES.sub("_", name).split()).rstrip(". ")
    if name.startswith("."):
        name = "_" + name
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    if (name.partition(".")[0]).rstrip().lower() in _DEVICES:
        stem = "_" + stem
    ending = (dot + extension) if len(extension.encode()) <= 20 else ""
    if not ending:
        stem = stem + dot + extension
    room = FILENAME_OCTETS_MAX - len(ending.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + ending
