"""The bundled table of large providers: where their servers are, how one logs in, and who files sent mail.

As far as we know in November 2026; not tried against the providers. Nothing is asked of anybody for an address of
these domains.
"""

from dataclasses import dataclass

from ..account import Security, SentCopies
from .found import Found, FoundServer, How, MailAddress

__all__ = ["ISPS", "Isp", "files_sent_copies", "isp_of_domain", "isp_of_mx", "oauth_of_host"]

APP_PASSWORD = "It takes a password made for programs (an app password), not that of the account."
SWITCHED_OFF = "IMAP has to be switched on in the provider's web mail first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Isp:
    """One provider. Servers are ``host:port``; port 587 means STARTTLS, any other TLS at once."""

    name: str
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    """Ends of the names of hosts that take its mail: for domains of its customers."""
    imap: str
    smtp: str
    local_part: bool = False
    """The IMAP server wants what stands before the @ as user; the SMTP server takes the whole address everywhere."""
    oauth: str = ""
    password: bool = True
    files_sent: bool = False
    """It files a copy of what goes out through its SMTP server itself."""
    hint: str = ""

    def found(self, address: MailAddress, how: How) -> Found:
        """Return the servers of *address* at this provider."""
        smtp = _server(self.smtp, str(address))
        return Found(
            how=how,
            where=self.name,
            name=self.name,
            imap=_server(self.imap, address.local if self.local_part else str(address)),
            smtp=smtp,
            oauth=self.oauth,
            password=self.password,
            sent_copies=SentCopies.PROVIDER if self.files_sent else SentCopies.AUTO,
            hint=self.hint,
        )


def _server(text: str, user: str) -> FoundServer:
    host, _, port = text.partition(":")
    security = Security.STARTTLS if port == "587" else Security.TLS
    return FoundServer(host=host, port=int(port), security=security, user=user)


def _isp(name: str, domains: str, imap: str, smtp: str, hint: str = "", mx: str = "") -> Isp:
    return Isp(name=name, domains=tuple(domains.split()), mx=tuple(mx.split()), imap=imap, smtp=smtp, hint=hint)


def _named(name: str, ends: str) -> tuple[str, ...]:
    return tuple(f"{name}.{end}" for end in ends.split())


ISPS: tuple[Isp, ...] = (
    Isp(
        name="Gmail",
        domains=("gmail.com", "googlemail.com"),
        mx=("google.com", "googlemail.com"),
        imap="imap.gmail.com:993",
        smtp="smtp.gmail.com:465",
        oauth="google",
        files_sent=True,
        hint=APP_PASSWORD + " It needs two-step verification. OAuth takes neither.",
    ),
    Isp(
        name="Outlook.com",
        domains=(
            *_named("outlook", "com de fr it es at be ie jp com.br co.uk"),
            *_named("hotmail", "com de fr it es at be jp com.br co.uk nl se"),
            *_named("live", "com de fr it at be ie jp co.uk nl se"),
            *("msn.com", "windowslive.com", "passport.com"),
        ),
        imap="outlook.office365.com:993",
        smtp="smtp-mail.outlook.com:587",
        oauth="microsoft",
        password=False,
        files_sent=True,
        hint="It takes OAuth only.",
    ),
    Isp(
        name="Microsoft 365",
        mx=("mail.protection.outlook.com", "mx.microsoft"),
        imap="outlook.office365.com:993",
        smtp="smtp.office365.com:587",
        oauth="microsoft",
        password=False,
        files_sent=True,
        hint="It takes OAuth only; the organization may have to allow the program, and SMTP.",
    ),
    Isp(
        name="Yahoo",
        domains=(
            *_named("yahoo", "com de fr it es ca ie co.uk co.in com.br com.au"),
            *("ymail.com", "rocketmail.com", "myyahoo.com"),
        ),
        mx=("yahoodns.net",),
        imap="imap.mail.yahoo.com:993",
        smtp="smtp.mail.yahoo.com:465",
        oauth="yahoo",
        hint=APP_PASSWORD,
    ),
    Isp(
        name="AOL",
        domains=("aol.com", "aim.com", "aol.de", "aol.co.uk", "aol.fr"),
        imap="imap.aol.com:993",
        smtp="smtp.aol.com:465",
        oauth="aol",
        hint=APP_PASSWORD,
    ),
    Isp(
        name="iCloud",
        domains=("icloud.com", "me.com", "mac.com"),
        mx=("mail.icloud.com",),
        imap="imap.mail.me.com:993",
        smtp="smtp.mail.me.com:587",
        local_part=True,
        files_sent=True,
        hint=APP_PASSWORD,
    ),
    Isp(
        name="Fastmail",
        domains=("fastmail.com", "fastmail.fm", "fastmail.net", "fastmail.org", "sent.com", "fastmail.de"),
        mx=("messagingengine.com",),
        imap="imap.fastmail.com:993",
        smtp="smtp.fastmail.com:465",
        oauth="fastmail",
        hint=APP_PASSWORD,
    ),
    Isp(
        name="Yandex",
        domains=("yandex.com", "yandex.ru", "ya.ru", "yandex.by", "yandex.kz", "yandex.com.tr"),
        mx=("mx.yandex.net", "mx.yandex.ru"),
        imap="imap.yandex.com:993",
        smtp="smtp.yandex.com:465",
        oauth="yandex",
        hint=f"{SWITCHED_OFF} {APP_PASSWORD}",
    ),
    Isp(
        name="Mail.ru",
        domains=("mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"),
        mx=("mxs.mail.ru", "emx.mail.ru"),
        imap="imap.mail.ru:993",
        smtp="smtp.mail.ru:465",
        oauth="mail.ru",
        hint=APP_PASSWORD,
    ),
    _isp("GMX", "gmx.de gmx.net gmx.at gmx.ch", "imap.gmx.net:993", "mail.gmx.net:465", SWITCHED_OFF),
    _isp("GMX", "gmx.com gmx.us gmx.co.uk gmx.fr", "imap.gmx.com:993", "mail.gmx.com:465", SWITCHED_OFF),
    _isp("WEB.DE", "web.de email.de", "imap.web.de:993", "smtp.web.de:587", SWITCHED_OFF),
    _isp(
        "Telekom",
        "t-online.de magenta.de",
        "secureimap.t-online.de:993",
        "securesmtp.t-online.de:465",
        "It takes a password for mail programs, set in the customer centre.",
    ),
    _isp("freenet", "freenet.de", "mx.freenet.de:993", "mx.freenet.de:587"),
    _isp("IONOS", "online.de onlinehome.de", "imap.ionos.de:993", "smtp.ionos.de:465", mx="kundenserver.de"),
    _isp("mailbox.org", "mailbox.org", "imap.mailbox.org:993", "smtp.mailbox.org:465", mx="mailbox.org"),
    _isp("Posteo", "posteo.de posteo.net posteo.org", "posteo.de:993", "posteo.de:465"),
    _isp("Zoho", "zoho.com zohomail.com", "imap.zoho.com:993", "smtp.zoho.com:465", SWITCHED_OFF, mx="zoho.com"),
    _isp("Zoho Europe", "zoho.eu zohomail.eu", "imap.zoho.eu:993", "smtp.zoho.eu:465", SWITCHED_OFF, mx="zoho.eu"),
    _isp("Orange", "orange.fr wanadoo.fr", "imap.orange.fr:993", "smtp.orange.fr:465"),
    _isp("Free", "free.fr", "imap.free.fr:993", "smtp.free.fr:465"),
    _isp("La Poste", "laposte.net", "imap.laposte.net:993", "smtp.laposte.net:465"),
    _isp("SFR", "sfr.fr", "imap.sfr.fr:993", "smtp.sfr.fr:465"),
    _isp("Libero", "libero.it iol.it", "imapmail.libero.it:993", "smtp.libero.it:465", APP_PASSWORD),
    _isp("Wirtualna Polska", "wp.pl", "imap.wp.pl:993", "smtp.wp.pl:465", SWITCHED_OFF),
    _isp("Seznam", "seznam.cz email.cz post.cz", "imap.seznam.cz:993", "smtp.seznam.cz:465"),
    _isp("QQ", "qq.com foxmail.com", "imap.qq.com:993", "smtp.qq.com:465", f"{SWITCHED_OFF} {APP_PASSWORD}"),
    _isp("NetEase 163", "163.com", "imap.163.com:993", "smtp.163.com:465", f"{SWITCHED_OFF} {APP_PASSWORD}"),
    _isp("Naver", "naver.com", "imap.naver.com:993", "smtp.naver.com:465", SWITCHED_OFF),
    _isp("Comcast", "comcast.net", "imap.comcast.net:993", "smtp.comcast.net:587", SWITCHED_OFF),
)

_BY_DOMAIN = {domain: isp for isp in ISPS for domain in isp.domains}


def isp_of_domain(domain: str) -> Isp | None:
    """Return the provider whose domain that is."""
    return _BY_DOMAIN.get(domain)


def isp_of_mx(host: str) -> Isp | None:
    """Return the provider that takes mail at *host*.

    >>> isp_of_mx("aspmx.l.google.com").name, isp_of_mx("notgoogle.com")
    ('Gmail', None)
    """
    return next((isp for isp in ISPS if any(_is_in(host, end) for end in isp.mx)), None)


def oauth_of_host(host: str) -> str:
    """Return the name in ``OAUTH_PROVIDERS`` of the provider whose mail server *host* is; "" for none."""
    servers = {server.partition(":")[0]: isp.oauth for isp in ISPS for server in (isp.imap, isp.smtp)}
    return servers.get(host, "") or next((isp.oauth for isp in ISPS if any(_is_in(host, d) for d in isp.domains)), "")


def files_sent_copies(smtp_host: str) -> bool:
    """Tell whether what goes out through that server is known to be filed in Sent by the provider."""
    return any(isp.files_sent and isp.smtp.partition(":")[0] == smtp_host.lower() for isp in ISPS)


def _is_in(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
