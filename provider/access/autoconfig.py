"""From an address to servers: the bundled table, what the domain publishes, what others know of it, a guess.

The order is Thunderbird's (draft-ietf-mailmaint-autoconfig). All questions of a stage are asked at once and the best
answer counts, not the fastest. HTTPS only, redirects included; the part before the @ goes to the domain itself and to
nobody else; a guess counts when the host proves its name by TLS and greets as it should. What comes out is for a
person to confirm.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urljoin, urlsplit

from ..account import Security
from ..bridge import Bridge
from ..errors import ProviderError, SourceError
from .found import Found, FoundServer, How, MailAddress, is_host_name
from .isp_xml import OCTETS_MAX, BadConfig, parse
from .isps import isp_of_domain, isp_of_mx, oauth_of_host
from .names import DnsNames, Names, Service
from .web import Http, HttpClient, tls_context

__all__ = ["Greets", "Search", "TlsGreeting", "Tried", "find_servers"]

ISPDB = "https://autoconfig.thunderbird.net/v1.1/"
FILE = "mail/config-v1.1.xml"
SECONDS = 6.0
"""For one request, and so for a look-up at one place."""
STAGE_SECONDS = 15.0
REDIRECTS_MAX = 3


class Greets(Protocol):
    """Tells whether a mail server answers at a host and port, with TLS and the right name, and begins as it should."""

    def __call__(self, host: str, port: int, opening: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class TlsGreeting:
    """``Greets`` by connecting. *ca_file*: certificates to trust in place of the system's."""

    ca_file: Path | None = None
    seconds: float = SECONDS

    def __call__(self, host: str, port: int, opening: bytes) -> bool:
        """Connect and read the first octets. Nothing is sent."""
        try:
            with (
                socket.create_connection((host, port), self.seconds) as plain,
                tls_context(self.ca_file).wrap_socket(plain, server_hostname=host) as sock,
            ):
                octets = b""
                while len(octets) < len(opening) and (piece := sock.recv(len(opening) - len(octets))):
                    octets += piece
                return octets == opening
        except (OSError, ssl.SSLError, ValueError):
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A place that was asked and helped nothing, and why."""

    how: How
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What came of it: the best that was found, and what was tried in vain before."""

    found: Found | None
    tried: tuple[Tried, ...] = ()


class _Nothing(Exception):
    """A place has nothing to say; its text says why."""


@dataclass(frozen=True, slots=True)
class _Place:
    how: How
    where: str
    look: Callable[[], Found]
    """Returns what is there; raises _Nothing, BadConfig or a ProviderError."""


def find_servers(
    text: str,
    *,
    http: Http | None = None,
    names: Names | None = None,
    greets: Greets | None = None,
    ca_file: Path | None = None,
    stage_seconds: float = STAGE_SECONDS,
) -> Search:
    """Return what can be found out about the address *text*; takes half a minute at most, and next to nothing mostly.

    *http*, *names* and *greets* take the place of our own; *ca_file*: certificates to trust in place of the system's.
    Raises InvalidRequest when *text* is no address.
    """
    address = MailAddress.of(text)
    http, names, greets = http or HttpClient(ca_file), names or DnsNames(), greets or TlsGreeting(ca_file)
    known = isp_of_domain(address.domain)
    if known is not None:
        return Search(found=known.found(address, How.TABLE))
    domain, tried = address.domain, list[Tried]()
    own = f"https://autoconfig.{domain}/{FILE}?emailaddress={quote(str(address), safe='')}"
    published = [
        _Place(How.DOMAIN, f"autoconfig.{domain}", lambda: _published(http, own, How.DOMAIN, domain, address)),
        _Place(
            How.WELL_KNOWN,
            domain,
            lambda: _published(
                http, f"https://{domain}/.well-known/autoconfig/{FILE}", How.WELL_KNOWN, domain, address
            ),
        ),
        _Place(
            How.ISPDB,
            str(urlsplit(ISPDB).hostname),
            lambda: _published(http, ISPDB + domain, How.ISPDB, domain, address),
        ),
        _Place(How.MX, f"MX of {domain}", lambda: _by_mx(http, names, address)),
        _Place(How.SRV, f"SRV of {domain}", lambda: _by_services(names, address)),
    ]
    guessed = [_Place(How.GUESS, domain, lambda: _guessed(greets, address))]
    for stage in (published, guessed):
        found, missed = _best(stage, stage_seconds)
        tried += missed
        if found is not None:
            return Search(found=found, tried=tuple(tried))
    return Search(found=None, tried=tuple(tried))


def _best(places: Sequence[_Place], seconds: float) -> tuple[Found | None, list[Tried]]:
    """Look at all *places* at once; return the find of the first that has one, and what those before it said."""
    bridge, until = Bridge(), time.monotonic() + seconds
    answers: list[Found | Exception | None] = [None] * len(places)
    done = [threading.Event() for _ in places]

    def look(at: int) -> None:
        try:
            answers[at] = places[at].look()
        except (_Nothing, BadConfig, ProviderError) as error:
            answers[at] = error
        finally:
            done[at].set()

    for at in range(len(places)):
        bridge.spawn("autoconfig", partial(look, at))
    missed: list[Tried] = []
    for at, place in enumerate(places):
        done[at].wait(max(0.0, until - time.monotonic()))
        answer = answers[at]
        if isinstance(answer, Found):
            return answer, missed
        missed.append(Tried(how=place.how, where=place.where, text=str(answer or "It did not answer in time.")))
    return None, missed


def _published(http: Http, url: str, how: How, domain: str, address: MailAddress) -> Found:
    """Return what the configuration file at *url* says of *domain*."""
    config = parse(_fetched(http, url), domain, address)
    return Found(
        how=how,
        where=str(urlsplit(url).hostname),
        name=config.name,
        imap=config.imap,
        smtp=config.smtp,
        oauth=oauth_of_host(config.imap.host) if config.oauth else "",
        password=config.password,
    )


def _fetched(http: Http, url: str) -> bytes:
    for _ in range(1 + REDIRECTS_MAX):
        if urlsplit(url).scheme != "https":
            raise _Nothing("It leads to a place without TLS.")
        answer = http(url, seconds=SECONDS, octets_max=OCTETS_MAX)
        if answer.status == 200:
            return answer.body
        if answer.status not in (301, 302, 303, 307, 308) or not answer.location:
            raise _Nothing(f"It has no configuration file (status {answer.status}).")
        try:
            url = urljoin(url, answer.location)
        except ValueError:
            raise _Nothing("It leads to something that is no address.") from None
    raise _Nothing("It leads from one place to the next.")


def _by_mx(http: Http, names: Names, address: MailAddress) -> Found:
    """Return what is known of whoever takes the domain's mail."""
    hosts = names.mail_hosts(address.domain)
    for host in hosts:
        isp = isp_of_mx(host)
        if isp is not None:
            return isp.found(address, How.MX)
    told: Exception = _Nothing("Nobody takes mail for it.")
    for base in _bases(hosts[0]) if hosts else ():
        if base == address.domain:
            continue
        for url in (f"https://autoconfig.{base}/{FILE}", ISPDB + base):  # whoever that is: it learns no address
            try:
                return replace(_published(http, url, How.MX, base, address), certain=False)
            except (_Nothing, BadConfig, SourceError) as error:
                told = error
    raise told


def _bases(host: str) -> tuple[str, ...]:
    """Return the domains that *host* may belong to, the longer one first.

    >>> _bases("mx1.mail.example.co.uk"), _bases("example.org")
    (('example.co.uk', 'co.uk'), ('example.org',))
    """
    labels = host.split(".")
    bases = [".".join(labels[-count:]) for count in (3, 2) if len(labels) >= count]
    return tuple(base for base in bases if is_host_name(base))


def _by_services(names: Names, address: MailAddress) -> Found:
    """Return what the domain's SRV records say; TLS from the first octet goes before STARTTLS (RFC 8314 §5.1)."""
    imap = _service(names, address, (("_imaps", Security.TLS), ("_imap", Security.STARTTLS)))
    if imap is None:
        raise _Nothing("It has no SRV records for IMAP.")
    smtp = _service(names, address, (("_submissions", Security.TLS), ("_submission", Security.STARTTLS)))
    hosts = [server.host for server in (imap, smtp) if server is not None]
    return Found(
        how=How.SRV,
        where=f"SRV of {address.domain}",
        imap=imap,
        smtp=smtp,
        oauth=oauth_of_host(imap.host),
        certain=all(host == address.domain or host.endswith(f".{address.domain}") for host in hosts),
    )


def _service(names: Names, address: MailAddress, kinds: Sequence[tuple[str, Security]]) -> FoundServer | None:
    for kind, security in kinds:
        offered: tuple[Service, ...] = names.services(f"{kind}._tcp.{address.domain}")
        for one in offered:
            if is_host_name(one.host) and 0 < one.port < 65536:
                return FoundServer(host=one.host, port=one.port, security=security, user=str(address))
    return None


def _guessed(greets: Greets, address: MailAddress) -> Found:
    """Return usual names that answer with TLS and prove that they are those."""
    imap = _guess(greets, address, ("imap", "mail", ""), 993, b"* OK")
    if imap is None:
        raise _Nothing("None of the usual names answers with TLS.")
    return Found(
        how=How.GUESS,
        where=imap.host,
        imap=imap,
        smtp=_guess(greets, address, ("smtp", "mail", ""), 465, b"220"),
    )


def _guess(
    greets: Greets, address: MailAddress, prefixes: Sequence[str], port: int, opening: bytes
) -> FoundServer | None:
    for prefix in prefixes:
        host = f"{prefix}.{address.domain}".lstrip(".")
        if greets(host, port, opening):
            return FoundServer(host=host, port=port, security=Security.TLS, user=str(address))
    return None
