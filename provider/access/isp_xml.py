"""Reads the configuration files that providers publish (``config-v1.1.xml``), which anybody may have written.

Rules: no document type, so no entities to expand; caps on octets, elements, depth and text; host names are names in
DNS; a server without TLS is passed over; a file that speaks of other domains is not used. Pure.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

from ..account import Security
from .found import FoundServer, MailAddress, is_host_name

__all__ = ["OCTETS_MAX", "BadConfig", "Config", "parse"]

OCTETS_MAX = 128_000
ELEMENTS_MAX = 2_000
DEPTH_MAX = 20
TEXT_MAX = 1_000

SECURITIES = {"SSL": Security.TLS, "STARTTLS": Security.STARTTLS}


class BadConfig(ValueError):
    """The file cannot be used; the text says why in one sentence, and repeats nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a file says of a domain: the first server of each kind that is safe."""

    name: str
    imap: FoundServer
    smtp: FoundServer | None
    oauth: bool
    password: bool


@dataclass(slots=True)
class _Server:
    kind: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return next(iter(self.values.get(name, [])), "")


@dataclass(slots=True)
class _Reader:
    """Keeps what matters of the elements as they pass."""

    path: list[str] = field(default_factory=list)
    elements: int = 0
    text: str = ""
    domains: list[str] = field(default_factory=list)
    name: str = ""
    servers: list[_Server] = field(default_factory=list)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.path.append(tag)
        if self.elements > ELEMENTS_MAX or len(self.path) > DEPTH_MAX:
            raise BadConfig("The configuration file has too many parts.")
        self.text = ""
        if self.path[:-1] == ["clientConfig", "emailProvider"] and tag in ("incomingServer", "outgoingServer"):
            self.servers.append(_Server(attributes.get("type", "")))

    def data(self, text: str) -> None:
        if len(self.text) < TEXT_MAX:
            self.text += text[:TEXT_MAX]

    def end(self, tag: str) -> None:
        text = self.text.strip()
        match self.path:
            case ["clientConfig", "emailProvider", "domain"]:
                self.domains.append(text.lower())
            case ["clientConfig", "emailProvider", "displayName"]:
                self.name = self.name or text
            case ["clientConfig", "emailProvider", "incomingServer" | "outgoingServer", _]:
                self.servers[-1].values.setdefault(tag, []).append(text)
        self.path.pop()
        self.text = ""


def parse(octets: bytes, domain: str, address: MailAddress) -> Config:
    """Return what the file *octets* says of *domain*, filled in for *address*. Raises BadConfig."""
    if len(octets) > OCTETS_MAX:
        raise BadConfig("The configuration file is too large.")
    reader = _read(octets)
    if reader.domains and not any(one in (domain, "%emaildomain%") for one in reader.domains):
        raise BadConfig("The configuration file speaks of other domains.")
    kinds = ("imap", "smtp")
    usable = [(server, made) for server in reader.servers if (made := _server(server, address)) is not None]
    imap, smtp = (next((pair for pair in usable if pair[0].kind == kind), None) for kind in kinds)
    if imap is None:
        raise BadConfig("The configuration file names no IMAP server that is reached with TLS.")
    ways = imap[0].values.get("authentication", [])
    return Config(
        name=reader.name,
        imap=imap[1],
        smtp=smtp[1] if smtp else None,
        oauth="OAuth2" in ways,
        password=not ways or any(way.startswith("password") or way == "plain" for way in ways),
    )


def _read(octets: bytes) -> _Reader:
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refused
    parser.EntityDeclHandler = _refused
    try:
        parser.Parse(octets, True)
    except BadConfig:
        raise
    except (expat.ExpatError, LookupError, ValueError):  # the latter two for encodings
        raise BadConfig("The configuration file is not well-formed.") from None
    return reader


def _refused(*_: object) -> None:
    raise BadConfig("The configuration file declares a document type, which none needs.")


def _server(said: _Server, address: MailAddress) -> FoundServer | None:
    """Return the server if it can be used safely; None passes it over."""
    security = SECURITIES.get(said.value("socketType"))
    host, port = _filled(said.value("hostname"), address).lower(), said.value("port")
    user = _filled(said.value("username"), address) or str(address)
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if security is None or not is_host_name(host) or not 0 < number < 65536:
        return None
    if "%" in user or not user.isprintable() or len(user) > 320:
        return None
    return FoundServer(host=host, port=number, security=security, user=user)


def _filled(text: str, address: MailAddress) -> str:
    for name, value in (
        ("%EMAILADDRESS%", str(address)),
        ("%EMAILLOCALPART%", address.local),
        ("%EMAILDOMAIN%", address.domain),
    ):
        if name in text:
            return text.replace(name, value)
    return text
