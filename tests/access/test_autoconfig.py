"""From an address to servers: the order of the places, who learns what, and files that somebody hostile wrote."""

import socket
import threading

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider import InvalidRequest, Login, Security
from provider.access.found import FoundServer, How, MailAddress, is_host_name
from provider.access.isp_xml import OCTETS_MAX, BadConfig, parse
from provider.access.isps import ISPS, files_sent_copies, isp_of_domain, oauth_of_host
from provider.access.names import DnsNames, Service
from provider.access.oauth import OAUTH_PROVIDERS
from provider.account import SentCopies

from ..servers.certs import BadCertificate
from .internet import Internet

DOMAIN = "example.org"
JO = MailAddress.of(f"jo@{DOMAIN}")
ISPDB = "autoconfig.thunderbird.net"


def config(host: str = "imap.example.org", *, domain: str = DOMAIN, security: str = "SSL", extra: str = "") -> bytes:
    """Return a configuration file as providers publish them."""
    return f"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="x">
  <domain>{domain}</domain><displayName>The Example</displayName>{extra}
  <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>995</port><socketType>SSL</socketType>
  </incomingServer>
  <incomingServer type="imap"><hostname>{host}</hostname><port>993</port><socketType>{security}</socketType>
    <username>%EMAILLOCALPART%</username><authentication>password-cleartext</authentication></incomingServer>
  <outgoingServer type="smtp"><hostname>smtp.%EMAILDOMAIN%</hostname><port>587</port><socketType>STARTTLS</socketType>
    <username>%EMAILADDRESS%</username></outgoingServer>
</emailProvider></clientConfig>""".encode()


OWN = f"/mail/config-v1.1.xml?emailaddress=jo%40{DOMAIN}"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
PLACES: dict[How, tuple[str, str]] = {
    How.DOMAIN: (f"autoconfig.{DOMAIN}", OWN),
    How.WELL_KNOWN: (DOMAIN, WELL_KNOWN),
    How.ISPDB: (ISPDB, f"/v1.1/{DOMAIN}"),
    How.MX: ("autoconfig.hoster.net", "/mail/config-v1.1.xml"),
}


def everywhere(internet: Internet, *places: How) -> None:
    """Let *places* know the domain, each with another IMAP server."""
    for how in places:
        match how:
            case How.SRV:
                internet.names.records[f"_imaps._tcp.{DOMAIN}"] = (Service(host=f"srv.{DOMAIN}", port=993),)
            case How.GUESS:
                internet.mail(f"imap.{DOMAIN}", 993, b"* OK ready\r\n")
            case _:
                host, path = PLACES[how]
                if how is How.MX:
                    internet.names.mx[DOMAIN] = ("mx1.hoster.net",)
                domain = "hoster.net" if how is How.MX else DOMAIN
                internet.web(host, {path: config(f"{how.value}.servers.net", domain=domain)})


RANKED = (How.DOMAIN, How.WELL_KNOWN, How.ISPDB, How.MX, How.SRV, How.GUESS)


@pytest.mark.parametrize("best", range(len(RANKED)), ids=[how.value for how in RANKED])
def test_the_best_place_that_knows_something_is_taken(internet: Internet, best: int) -> None:
    everywhere(internet, *RANKED[best:])

    search = internet.find()

    assert search.found is not None and search.found.how is RANKED[best]
    assert [tried.how for tried in search.tried] == list(RANKED[:best])


def test_the_best_answer_counts_and_not_the_fastest(internet: Internet) -> None:
    everywhere(internet, How.DOMAIN, How.ISPDB, How.SRV)
    internet.slow = {f"autoconfig.{DOMAIN}"}
    threading.Timer(0.3, internet.held.set).start()

    found = internet.find().found

    assert found is not None and found.how is How.DOMAIN
    assert any(request.startswith(ISPDB) for request in internet.requests), "they were asked at once"


def test_a_place_that_hangs_does_not_hold_up_the_rest_for_ever(internet: Internet) -> None:
    everywhere(internet, How.DOMAIN, How.SRV)
    internet.slow = {f"autoconfig.{DOMAIN}"}

    search = internet.find(stage_seconds=0.5)

    assert search.found is not None and search.found.how is How.SRV
    assert search.tried[0].text == "It did not answer in time."


def test_a_large_provider_is_known_without_asking_anybody(internet: Internet) -> None:
    found = internet.find("Jo.Example@GMail.com").found

    assert found is not None
    assert (found.how, found.imap.host, found.imap.user) == (How.TABLE, "imap.gmail.com", "Jo.Example@gmail.com")
    assert (found.oauth, found.logins, found.sent_copies) == (
        "google",
        (Login.XOAUTH2, Login.AUTO),
        SentCopies.PROVIDER,
    )
    assert (internet.requests, internet.names.asked) == ([], [])


def test_a_domain_whose_mail_a_large_provider_takes_is_known_by_its_mx(internet: Internet) -> None:
    internet.names.mx[DOMAIN] = ("example-org.mail.protection.outlook.com",)

    found = internet.find().found

    assert found is not None
    assert (found.how, found.imap.host, found.oauth, found.password, found.certain) == (
        How.MX,
        "outlook.office365.com",
        "microsoft",
        False,
        True,
    )


def test_only_the_domain_itself_learns_who_it_is(internet: Internet) -> None:
    everywhere(internet, How.MX)
    for how in (How.DOMAIN, How.WELL_KNOWN, How.ISPDB):
        internet.web(PLACES[how][0], {})
    internet.find()

    strangers = [request for request in internet.requests if not request.startswith(f"autoconfig.{DOMAIN}/")]
    assert len(strangers) == 4
    assert not [request for request in strangers if "jo" in request.lower()]
    assert f"autoconfig.{DOMAIN}{OWN}" in internet.requests


def test_a_file_is_filled_in_for_the_address(internet: Internet) -> None:
    everywhere(internet, How.DOMAIN)

    found = internet.find().found

    assert found is not None
    assert found.imap == FoundServer(host="domain.servers.net", port=993, security=Security.TLS, user="jo")
    assert found.smtp == FoundServer(host=f"smtp.{DOMAIN}", port=587, security=Security.STARTTLS, user=f"jo@{DOMAIN}")
    assert (found.name, found.certain) == ("The Example", True)


@pytest.mark.parametrize(
    ("redirect", "says"),
    [
        (f"http://autoconfig.{DOMAIN}/plain.xml", "without TLS"),
        ("//[", "no address"),
        ("/mail/config-v1.1.xml?emailaddress=jo%40example.org", "from one place to the next"),
    ],
)
def test_a_redirect_that_leads_astray_is_not_followed(internet: Internet, redirect: str, says: str) -> None:
    internet.web(f"autoconfig.{DOMAIN}", {OWN: redirect})

    assert says in internet.find().tried[0].text
    assert len(internet.requests) <= 4


def test_a_redirect_with_tls_is_followed(internet: Internet) -> None:
    internet.web(f"autoconfig.{DOMAIN}", {OWN: "https://elsewhere.net/config"})
    internet.web("elsewhere.net", {"/config": config()})

    found = internet.find().found

    assert found is not None and found.how is How.DOMAIN


@pytest.mark.parametrize("kind", [BadCertificate.SELF_SIGNED, BadCertificate.EXPIRED, BadCertificate.WRONG_NAME])
def test_a_place_that_cannot_prove_its_name_is_not_believed(internet: Internet, kind: BadCertificate) -> None:
    internet.web(f"autoconfig.{DOMAIN}", {OWN: config()}, internet.certs.bad(kind))
    internet.mail(f"imap.{DOMAIN}", 993, b"* OK ready\r\n", internet.certs.bad(kind))

    assert internet.find().found is None
    assert internet.requests == []


def test_a_guess_counts_when_it_greets_as_a_mail_server_does(internet: Internet) -> None:
    internet.mail(f"imap.{DOMAIN}", 993, b"HTTP/1.0 400 what\r\n")
    internet.mail(f"mail.{DOMAIN}", 993, b"* OK ready\r\n")
    internet.mail(DOMAIN, 465, b"220 hello\r\n")

    found = internet.find().found

    assert found is not None and found.smtp is not None
    assert (found.how, found.imap.host, found.smtp.host, found.certain) == (How.GUESS, f"mail.{DOMAIN}", DOMAIN, True)


@pytest.mark.parametrize(("target", "certain"), [(f"mx.{DOMAIN}", True), (DOMAIN, True), ("evil.net", False)])
def test_dns_alone_leads_into_another_domain_only_with_a_persons_consent(
    internet: Internet, target: str, certain: bool
) -> None:
    internet.names.records[f"_imaps._tcp.{DOMAIN}"] = (
        Service(host="", port=0),
        Service(host=target, port=9993, priority=1),
    )
    internet.names.records[f"_submission._tcp.{DOMAIN}"] = (Service(host=f"out.{DOMAIN}", port=587),)

    found = internet.find().found

    assert found is not None and found.smtp is not None
    assert (found.imap.host, found.imap.port, found.imap.user) == (target, 9993, str(JO))
    assert (found.smtp.security, found.certain) == (Security.STARTTLS, certain)


def test_what_the_host_of_an_mx_says_needs_a_persons_consent(internet: Internet) -> None:
    everywhere(internet, How.MX)
    found = internet.find().found
    assert found is not None and not found.certain


def test_without_any_network_everything_that_was_tried_is_told(internet: Internet) -> None:
    internet.names.away = True

    search = internet.find()

    assert search.found is None
    assert [tried.how for tried in search.tried] == list(RANKED)
    assert all(tried.text for tried in search.tried)


@pytest.mark.parametrize(
    "text", ["", "jo", "jo@", "@example.org", "jo@localhost", "jo@127.0.0.1", "j o@example.org", "jo@a..org", "a@b@c\n"]
)
def test_what_is_no_address_is_refused_before_anybody_is_asked(internet: Internet, text: str) -> None:
    with pytest.raises(InvalidRequest):
        internet.find(text)
    assert internet.names.asked == []


# -- files that somebody hostile wrote ------------------------------------------------------------

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "haha">%s]>
<clientConfig><emailProvider><domain>&z;</domain></emailProvider></clientConfig>""" % b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(25)
)
HOSTILE = {
    "billion laughs": (LAUGHS, "document type"),
    "a file from the disk": (
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><clientConfig>&f;</clientConfig>',
        "document type",
    ),
    "an empty document type": (b"<!DOCTYPE clientConfig>" + config()[21:], "document type"),
    "10 MB": (config(extra="<x/>" * 2_500_000), "too large"),
    "many elements": (config(extra="<x/>" * 5_000), "too many parts"),
    "deep elements": (config(extra="<x>" * 500 + "</x>" * 500), "too many parts"),
    "other domains": (config(domain="another.net"), "other domains"),
    "plain text": (config(security="plain"), "no IMAP server"),
    "no protection said": (config(security=""), "no IMAP server"),
    "an address for a host": (config("127.0.0.1"), "no IMAP server"),
    "a host with a line end": (config("imap.example.org\r\nx"), "no IMAP server"),
    "a name without a domain": (config("localhost"), "no IMAP server"),
    "a port that is none": (config().replace(b"993", b"99999"), "no IMAP server"),
    "an unknown placeholder": (config().replace(b"%EMAILLOCALPART%", b"%SECRET%"), "no IMAP server"),
    "a user with controls": (config().replace(b"%EMAILLOCALPART%", b"a&#9;b&#10;c"), "no IMAP server"),
    "not well-formed": (config()[:-20], "not well-formed"),
    "no XML": (b"\xff\xfe\x00hello", "not well-formed"),
    "a server in the wrong place": (
        b"<clientConfig><x><incomingServer><hostname>h</hostname></incomingServer></x></clientConfig>",
        "no IMAP server",
    ),
    "an unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><x/>', "not well-formed"),
    "nothing": (b"", "not well-formed"),
    "a page": (b"<html><body>Not found</body></html>", "no IMAP server"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence(name: str) -> None:
    octets, says = HOSTILE[name]
    with pytest.raises(BadConfig, match=says):
        parse(octets, DOMAIN, JO)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_file_that_was_damaged_anywhere_is_refused_or_safe(data: st.DataObject) -> None:
    octets = bytearray(config())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(octets) - 1))
        piece = data.draw(
            st.sampled_from([b"", b"<", b">", b"&", b"</", b"\0", b"%", b"<incomingServer>", b"\xff", b'"'])
        )
        octets[at : at + data.draw(st.integers(0, 40))] = piece
    try:
        read = parse(bytes(octets), DOMAIN, JO)
    except BadConfig:
        return
    for server in filter(None, (read.imap, read.smtp)):
        assert server.security in (Security.TLS, Security.STARTTLS)
        assert is_host_name(server.host) and 0 < server.port < 65536 and server.user.isprintable()


def test_a_server_without_tls_is_passed_over_for_one_with(internet: Internet) -> None:
    plain = config("plain.example.org", security="plain")
    at = plain.index(b"</incomingServer>", plain.index(b"plain.example.org")) + len(b"</incomingServer>")
    safe = b"""<incomingServer type="imap"><hostname>Safe.example.org</hostname><port>143</port>
        <socketType>STARTTLS</socketType><authentication>OAuth2</authentication></incomingServer>"""

    read = parse(plain[:at] + safe + plain[at:], DOMAIN, JO)

    assert (read.imap.host, read.imap.security, read.imap.user) == ("safe.example.org", Security.STARTTLS, str(JO))
    assert (read.oauth, read.password) == (True, False)


def test_a_web_server_without_end_is_cut_off(internet: Internet) -> None:
    internet.web(f"autoconfig.{DOMAIN}", {OWN: b"<x>" + b" " * 10_000_000})

    assert f"more than {OCTETS_MAX} octets" in internet.find().tried[0].text


# -- the table ------------------------------------------------------------------------------------


def test_the_table_is_sound() -> None:
    domains = [domain for isp in ISPS for domain in isp.domains]
    assert len(ISPS) >= 25
    assert len(domains) == len(set(domains))
    for isp in ISPS:
        found = isp.found(JO, How.TABLE)
        assert isp.oauth in ("", *OAUTH_PROVIDERS)
        assert found.logins, isp.name
        assert (found.imap.port, found.imap.security) == (993, Security.TLS)
        assert found.smtp is not None and found.smtp.port in (465, 587)
        assert (found.smtp.security is Security.STARTTLS) is (found.smtp.port == 587)
        assert found.smtp.user == str(JO)


def test_some_providers_want_what_stands_before_the_at() -> None:
    isp = isp_of_domain("icloud.com")
    assert isp is not None
    found = isp.found(MailAddress.of("jo@icloud.com"), How.TABLE)
    assert found.smtp is not None
    assert (found.imap.user, found.smtp.user) == ("jo", "jo@icloud.com")


def test_who_files_sent_mail_and_who_takes_oauth_is_known_by_host() -> None:
    assert files_sent_copies("smtp.gmail.com") and files_sent_copies("SMTP.office365.com")
    assert not files_sent_copies("smtp.fastmail.com")
    assert (oauth_of_host("imap.gmail.com"), oauth_of_host("imap.example.org")) == ("google", "")


# -- DNS ------------------------------------------------------------------------------------------


def test_dns_is_asked_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = {
        ("_imaps._tcp.example.org.", "SRV"): ["10 1 993 B.example.org.", "5 0 994 a.example.org.", "5 9 995 ."],
        ("example.org.", "MX"): ["20 mx2.example.org.", "10 MX1.example.org."],
    }

    class Udp(threading.Thread):
        """A name server on the loopback."""

        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(("127.0.0.1", 0))

        def run(self) -> None:
            while True:
                try:
                    octets, whence = self.sock.recvfrom(4096)
                except OSError:
                    return
                asked = dns.message.from_wire(octets)
                question = asked.question[0]
                answer = dns.message.make_response(asked)
                kind = dns.rdatatype.to_text(question.rdtype)
                records = zone.get((question.name.to_text(), kind))
                if records is None:
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                else:
                    answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
                self.sock.sendto(answer.to_wire(), whence)

    server = Udp()
    server.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.sock.getsockname()[1]
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    try:
        names = DnsNames()
        assert names.services("_imaps._tcp.example.org") == (
            Service(host="", port=995, priority=5, weight=9),
            Service(host="a.example.org", port=994, priority=5, weight=0),
            Service(host="b.example.org", port=993, priority=10, weight=1),
        )
        assert names.mail_hosts("example.org") == ("mx1.example.org", "mx2.example.org")
        assert names.services("_jmap._tcp.example.org") == ()
    finally:
        server.sock.close()
