"""What was found out about an address: servers to be shown to a person, and confirmed, before anything is used.

Pure values, and the one way to take a mail address apart.
"""

import re
from dataclasses import dataclass
from enum import Enum

from ..account import Login, Security, SentCopies
from ..errors import InvalidRequest

__all__ = ["Found", "FoundServer", "How", "MailAddress", "is_host_name"]

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{4,253}}\Z){_LABEL}(\.{_LABEL})+\Z")


def is_host_name(text: str) -> bool:
    """Tell whether *text* is a name in DNS of two labels or more, in lower case, and no number.

    >>> is_host_name("imap.example.org"), is_host_name("127.0.0.1"), is_host_name("a b.org"), is_host_name("localhost")
    (True, False, False, False)
    """
    return bool(_HOST_NAME.match(text)) and not text.rpartition(".")[2].isdigit()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """An address, taken apart. ``domain`` is in lower case and as DNS has it (RFC 5890)."""

    local: str
    domain: str

    @classmethod
    def of(cls, text: str) -> "MailAddress":
        """Take *text* apart. Raises InvalidRequest when it is no address that a person would type.

        >>> MailAddress.of("Jo@Bücher.example")
        MailAddress(local='Jo', domain='xn--bcher-kva.example')
        """
        local, _, domain = text.strip().rpartition("@")
        try:
            name = domain.encode("idna").decode("ascii").lower().removesuffix(".")
        except UnicodeError:
            name = ""
        if not local or not local.isprintable() or set(local) & set(' "<>,;:@\\') or not is_host_name(name):
            raise InvalidRequest("That is no mail address.")
        return cls(local=local, domain=name)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class How(Enum):
    """How something was found out, best first."""

    TABLE = "table"
    """The bundled table of large providers knows the domain."""
    DOMAIN = "domain"
    """The domain's own ``autoconfig.`` host says it."""
    WELL_KNOWN = "well-known"
    """The domain's own web server says it."""
    ISPDB = "ispdb"
    """Thunderbird's public collection says it."""
    MX = "mx"
    """Whoever takes the domain's mail is known, or says it."""
    SRV = "srv"
    """The domain's DNS says it (RFC 6186, RFC 8314)."""
    GUESS = "guess"
    """A usual name answers, and proves with its certificate that it is that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundServer:
    """Where a server is, and as whom to log in there."""

    host: str
    port: int
    security: Security
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Servers of an address: to be shown, and confirmed, before they are used."""

    how: How
    where: str
    """Who said it: a host that was asked, or a name."""
    name: str = ""
    """What the provider calls itself: text from outside."""
    imap: FoundServer
    smtp: FoundServer | None = None
    oauth: str = ""
    """The provider's name in ``OAUTH_PROVIDERS``; empty: it takes no OAuth that we know of."""
    password: bool = True
    """It takes a password (perhaps one made for programs)."""
    sent_copies: SentCopies = SentCopies.AUTO
    hint: str = ""
    """What a person has to do at the provider first."""
    certain: bool = True
    """False: nothing but DNS without a signature led to a host of another domain; only a person may agree to that."""

    @property
    def logins(self) -> tuple[Login, ...]:
        """Ways to log in, best first."""
        oauth = (Login.XOAUTH2,) if self.oauth else ()
        return oauth + ((Login.AUTO,) if self.password else ())
