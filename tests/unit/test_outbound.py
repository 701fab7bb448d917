"""What may be sent: hostile and odd messages are refused with the line and what helps, or go out as they were meant."""

from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8, compat32, default
from random import Random

import pytest

from store import BadMessage
from store.mime import scan_header, split_header
from store.mime.flattening import flattened, long_line
from store.mime.outbound import LINE_OCTETS_MAX, Composed, composed, without_bcc

from ..servers.injections import INJECTIONS

AT = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
HEAD = b"From: me@example.org\r\nTo: you@example.org\r\nSubject: s\r\n"


def compose(message: EmailMessage | bytes, **envelope: object) -> Composed:
    return composed(message, at=AT, token="token", **envelope)  # type: ignore[arg-type]


def mail(**fields: object) -> EmailMessage:
    """A message put together by the library, as hosts do it."""
    made = EmailMessage()
    for name, value in {"From": "me@example.org", "To": "you@example.org", "Subject": "s", **fields}.items():
        made[name.replace("_", "-")] = value
    made.set_content("Hi\n")
    return made


# --- octets that are refused, and where --------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, int | None, str]] = {
    "nothing": (b"", None, "empty"),
    "white space": (b"\r\n\r\n \r\n", None, "empty"),
    "a NUL in the header": (b"From: me@example.org\r\nSubject: a\0b\r\n\r\n", 2, "NUL"),
    "a NUL in the body": (HEAD + b"\r\none\r\ntwo\0\r\n", 6, "NUL"),
    "a bare LF among CRLF": (HEAD + b"\r\none\ntwo\r\n", 5, "bare LF"),
    "a bare CR among CRLF": (HEAD + b"\r\none\rtwo\r\n", 5, "bare CR"),
    "a bare CR among LF": (b"From: a@b.org\nTo: b@b.org\n\none\rtwo\n", 4, "bare CR"),
    "a CRLF among LF": (b"From: a@b.org\nTo: b@b.org\n\none\r\ntwo\n", 4, "CRLF"),
    "a bare LF among CR": (b"From: a@b.org\rTo: b@b.org\r\rone\ntwo\r", 4, "bare LF"),
    "a smuggled end": (HEAD + b"\r\none\r\n.\n\r\nMAIL FROM:<x@y.org>\r\n", 6, "bare LF"),
    "another smuggled end": (HEAD + b"\r\none\n.\r\nMAIL FROM:<x@y.org>\r\n", 5, "bare LF"),
    "CR CR LF": (HEAD + b"\r\none\r\r\n", 5, "bare CR"),
    "a long line in the body": (HEAD + b"\r\n" + b"x" * 999 + b"\r\n", 5, "998"),
    "a long line in the header": (HEAD + b"X: " + b"x" * 999 + b"\r\n\r\n", 4, "998"),
    "a line that is no field": (b"From: a@b.org\r\nhello\r\nTo: b@b.org\r\n\r\n", 2, "no field"),
    "an mbox line": (b"From me Mon Jan  1\r\nFrom: a@b.org\r\nTo: b@b.org\r\n\r\n", 1, "no field"),
    "white space before the colon": (b"From: a@b.org\r\nBcc : b@b.org\r\n\r\n", 2, "no field"),
    "a field without a name": (b"From: a@b.org\r\n: b@b.org\r\n\r\n", 2, "no field"),
    "a non-ASCII name": ("From: a@b.org\r\nBcç: b@b.org\r\n\r\n".encode(), 2, "no field"),
    "a fold of nothing": (b" From: a@b.org\r\nTo: b@b.org\r\n\r\n", 1, "white space"),
    "a line of white space": (b"From: a@b.org\r\n \r\nTo: b@b.org\r\n\r\n", 2, "white space"),
    "a control character": (HEAD + b"X: \x1b[2J\r\n\r\n", 4, "control"),
    "a vertical tab": (HEAD + b"X: a\x0bBcc: x@y.org\r\n\r\n", 4, "control"),
    "Latin-1 in the header": (HEAD + b"X: \xe9\r\n\r\n", 4, "UTF-8"),
    "no From": (b"To: b@b.org\r\n\r\nHi\r\n", None, "From"),
    "two From": (b"From: a@b.org\r\n" + HEAD + b"\r\n", 2, "twice"),
    "two To": (HEAD + b"to: x@y.org\r\n\r\n", 4, "twice"),
    "two Bcc": (HEAD + b"Bcc: x@y.org\r\nBCC: z@y.org\r\n\r\n", 5, "twice"),
    "two Subject": (HEAD + b"Subject: x\r\n\r\n", 4, "twice"),
    "two Message-ID": (HEAD + b"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n\r\n", 5, "twice"),
    "two Content-Type": (HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", 5, "twice"),
    "an empty From": (b"From: \r\nTo: b@b.org\r\n\r\n", 1, "one address"),
    "From is no address": (b"From: me\r\nTo: b@b.org\r\n\r\n", 1, "no address"),
    "several in From": (b"From: a@b.org, c@d.org\r\nTo: b@b.org\r\n\r\n", 1, "Sender"),
    "several in Sender": (HEAD + b"Sender: a@b.org, c@d.org\r\n\r\n", 4, "one address"),
    "a name without an address": (b"From: a@b.org\r\nTo: b@b.org, Bob Smith\r\n\r\n", 2, "without an address"),
    "a bare word in To": (b"From: a@b.org\r\nTo: Bob\r\n\r\n", 2, "no address"),
    "an address with a space": (b"From: a@b.org\r\nTo: <a b@c.org>\r\n\r\n", 2, "no address"),
    "an address with two at signs": (b"From: a@b.org\r\nTo: <a@b@c.org>\r\n\r\n", 2, "no address"),
    "an address with an angle bracket": (b"From: a@b.org\r\nTo: <a>b@c.org\r\n\r\n", 2, "no address"),
    "an address without a domain": (b"From: a@b.org\r\nTo: <a@>\r\n\r\n", 2, "no address"),
    "an address with a dot too many": (b"From: a@b.org\r\nTo: <a@b..org>\r\n\r\n", 2, "no address"),
    "an address that turns around": ("From: a@b.org\r\nTo: <a\u202e@b.org>\r\n\r\n".encode(), 2, "no address"),
    "an address that is too long": (b"From: a@b.org\r\nTo: <" + b"a" * 250 + b"@b.org>\r\n\r\n", 2, "no address"),
    "a comma that is missing": (b"From: a@b.org\r\nTo: a@b.org c@d.org\r\n\r\n", 2, "no address"),
    "another one": (b"From: a@b.org\r\nTo: a@b.org <c@d.org>\r\n\r\n", 2, "comma"),
    "a third": (b"From: a@b.org\r\nTo: <a@b.org> <c@d.org>, Bob x@y.org <z@y.org>\r\n\r\n", 2, "comma"),
    "an open bracket": (b"From: a@b.org\r\nTo: Bob <a@b.org\r\n\r\n", 2, "no address"),
    "an open quote": (b'From: a@b.org\r\nTo: "Bob <a@b.org>, c@d.org\r\n\r\n', 2, "address"),
    "a route": (b"From: a@b.org\r\nTo: <@c.org:a@b.org>\r\n\r\n", 2, "no address"),
    "a name beside a group": (b"From: a@b.org\r\nTo: friends:;, Bob Smith\r\n\r\n", 2, "without an address"),
    "a parameter in an address": (b"From: a@b.org\r\nTo: <a@b.org> SIZE=1\r\n\r\n", 2, "no address"),
    "nobody": (b"From: a@b.org\r\nSubject: s\r\n\r\nHi\r\n", None, "no recipients"),
    "an empty group": (b"From: a@b.org\r\nTo: undisclosed-recipients:;\r\n\r\n", None, "no recipients"),
    "a Message-ID without brackets": (HEAD + b"Message-ID: a@b.org\r\n\r\n", 4, "Message-ID"),
    "a Message-ID of two": (HEAD + b"Message-ID: <a@b.org> <c@d.org>\r\n\r\n", 4, "Message-ID"),
    "an empty Message-ID": (HEAD + b"Message-ID:\r\n\r\n", 4, "Message-ID"),
    "a header without end": (HEAD + b"".join(b"X%d: %b\r\n" % (n, b"x" * 900) for n in range(1200)), None, "1,000,000"),
    "too many addresses": (
        b"From: a@b.org\r\nTo: " + b",\r\n ".join(b"a%d@b.org" % n for n in range(2001)) + b"\r\n\r\n",
        2,
        "2,000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_octets_that_are_no_message_to_send_are_refused_with_the_line(name: str) -> None:
    octets, line, word = REFUSED[name]
    with pytest.raises(BadMessage) as caught:
        compose(octets)
    assert (caught.value.line, word in str(caught.value)) == (line, True), str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_no_error_repeats_what_was_given() -> None:
    for octets, *_ in REFUSED.values():
        with pytest.raises(BadMessage) as caught:
            compose(octets)
        assert len(str(caught.value)) < 150 and "@b.org" not in str(caught.value)


# --- octets that are taken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_line_ends_of_one_kind_are_made_crlf(end: bytes) -> None:
    whole = HEAD + b"Date: x\r\nMessage-ID: <a@b.org>\r\n\r\none\r\n\r\n.\r\ntwo\r\n"
    assert compose(whole.replace(b"\r\n", end)).octets == compose(whole).octets == whole


def test_a_message_without_end_of_line_or_of_header_gets_one() -> None:
    given = HEAD + b"Date: x\r\nMessage-ID: <a@b.org>"
    assert compose(given).octets == compose(given + b"\r\n").octets == given + b"\r\n\r\n"
    assert compose(given + b"\r\n\r\nHi").octets == given + b"\r\n\r\nHi\r\n"


def test_what_is_missing_is_put_on_top_and_the_rest_stays_as_it_was() -> None:
    made = compose(HEAD + b"\r\nHi\r\n")
    assert made.octets == (
        b"Date: Tue, 24 Nov 2026 14:00:00 +0000\r\nMessage-ID: <token@example.org>\r\n" + HEAD + b"\r\nHi\r\n"
    )
    assert (made.message_id, made.size, made.subject) == ("<token@example.org>", len(made.octets), "s")
    assert not (made.eight_bit or made.utf8)
    assert compose(made.octets).octets == made.octets


def test_the_same_message_with_the_same_envelope_has_the_same_digest_whatever_is_added() -> None:
    first = compose(HEAD + b"\r\nHi\r\n")
    later = composed(HEAD.replace(b"\r\n", b"\n") + b"\nHi", at=datetime(2027, 1, 1, tzinfo=UTC), token="other")
    assert first.digest == later.digest and first.octets != later.octets
    assert compose(HEAD + b"\r\nHo\r\n").digest != first.digest
    assert compose(HEAD + b"\r\nHi\r\n", sender="a@b.org").digest != first.digest
    assert compose(HEAD + b"\r\nHi\r\n", recipients=["a@b.org"]).digest != first.digest


def test_the_longest_line_is_taken_and_one_more_octet_is_not() -> None:
    line = b"x" * LINE_OCTETS_MAX
    assert compose(HEAD + b"\r\n" + line + b"\r\n").octets.endswith(line + b"\r\n")
    assert compose(HEAD + b"\r\n" + line).octets.endswith(line + b"\r\n")
    for bad in (line + b"x\r\n", line + b"x", b"a\r\n" + line + b"x\r\nb\r\n"):
        with pytest.raises(BadMessage, match="998"):
            compose(HEAD + b"\r\n" + bad)


def test_long_lines_are_found_wherever_they_begin() -> None:
    chance = Random(1)
    for _ in range(2000):
        sizes = [chance.choice((0, 1, 76, 500, 997, 998, 999, 1000, 2100)) for _ in range(chance.randint(1, 6))]
        end = chance.choice((b"\n", b"\r\n"))
        octets = end.join(b"x" * size for size in sizes) + (end if chance.random() < 0.5 else b"")
        lines = octets.replace(b"\r\n", b"\n").split(b"\n")
        first = next((number for number, one in enumerate(lines) if len(one) > 998), None)
        found = long_line(octets)
        assert (None if found is None else octets.count(b"\n", 0, found)) == first, (sizes, end)


def test_eight_bit_bodies_and_utf8_headers_are_told_apart() -> None:
    plain, eight = compose(HEAD + b"\r\nHi\r\n"), compose(HEAD + b"\r\nh\xe9\r\n")
    utf8 = compose(HEAD.replace(b"Subject: s", "Subject: Grüße".encode()) + b"\r\nHi\r\n")
    to = compose(HEAD + b"\r\nHi\r\n", recipients=["jörg@example.org"])
    hidden = compose(HEAD + "Bcc: Jörg <j@example.org>\r\n\r\nHi\r\n".encode())
    needs = [(one.eight_bit, one.utf8) for one in (plain, eight, utf8, to, hidden)]
    assert needs == [(False, False), (True, False), (True, True), (False, True), (False, False)]
    assert utf8.subject == "Grüße"


# --- the envelope ------------------------------------------------------------------------------------------------


def test_the_envelope_comes_from_the_fields_each_address_once() -> None:
    made = compose(
        b'From: Me <me@example.org>, other@example.org\r\nSender: "Secr." <she@example.org>\r\n'
        b"To: one@A.org <one@A.org> (a (b@c.org) d), friends: two@a.org, Three <three@a.org>;\r\n"
        b"CC: one@a.ORG,\r\n One@a.org\r\n"
        b'bcc: "odd one"@a.org, [four@a.org]\r\n\r\n'.replace(b"[", b"").replace(b"]", b"")
    )
    assert made.sender == "she@example.org"
    assert made.recipients == (
        "one@A.org",
        "two@a.org",
        "three@a.org",
        "One@a.org",
        '"odd one"@a.org',
        "four@a.org",
    )


def test_an_envelope_that_is_given_counts_and_the_fields_stay() -> None:
    made = compose(HEAD + b"Bcc: x@y.org\r\n\r\n", sender="", recipients=["a@b.org", "c@d.org", "a@B.org"])
    assert (made.sender, made.recipients) == ("", ("a@b.org", "c@d.org"))
    assert compose(b"From: me@[192.0.2.1]\r\n\r\n", recipients=["a@[IPv6:2001:db8::1]"]).sender == "me@[192.0.2.1]"
    with pytest.raises(BadMessage, match="recipients"):
        compose(HEAD + b"\r\n", recipients=[])
    with pytest.raises(ValueError, match="sequence"):
        compose(HEAD + b"\r\n", recipients="a@b.org")


def test_a_message_id_is_ascii_whoever_sends() -> None:
    made = compose("From: jörg@müller.example\r\nTo: a@b.org\r\n\r\n".encode())
    assert (made.sender, made.message_id, made.utf8) == ("jörg@müller.example", "<token@maildock.invalid>", True)


# --- Bcc ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden",
    [
        b"Bcc: x@y.org\r\n",
        b"BCC:x@y.org\r\n",
        b"bcC: x@y.org,\r\n\tz@y.org,\r\n   w@y.org\r\n",
        b"Bcc:\r\n x@y.org\r\n",
        b"Bcc: \r\n",
        b"Bcc \t: x@y.org\r\n",
        b"Resent-Bcc: x@y.org\r\n",
        b"RESENT-BCC: x@y.org\r\nBcc: z@y.org\r\nresent-bcc: w@y.org,\r\n v@y.org\r\n",
    ],
)
@pytest.mark.parametrize("at", [0, 22, len(HEAD)])
def test_bcc_goes_in_every_form_and_everything_else_stays(hidden: bytes, at: int) -> None:
    assert without_bcc(HEAD[:at] + hidden + HEAD[at:] + b"\r\n") == HEAD + b"\r\n"
    with_lf = (HEAD[:at] + hidden + HEAD[at:] + b"\r\n").replace(b"\r\n", b"\n")
    assert without_bcc(with_lf) == (HEAD + b"\r\n").replace(b"\r\n", b"\n")


@pytest.mark.parametrize("kept", [b"X-Bcc: x@y.org\r\n", b"Bccc: x\r\n", b"Subject: a\r\n Bcc: x@y.org\r\n", b"Bc\r\n"])
def test_what_only_looks_like_bcc_stays(kept: bytes) -> None:
    assert without_bcc(kept + b"\r\n") == kept + b"\r\n"


def test_the_size_is_that_of_what_goes_out() -> None:
    made = compose(HEAD + b"Bcc: x@y.org,\r\n z@y.org\r\n\r\nBcc: in the body\r\n")
    block, at = split_header(made.octets)
    out = without_bcc(block) + made.octets[at:]
    assert (made.size, b"y.org" in out, out.endswith(b"\r\n\r\nBcc: in the body\r\n")) == (len(out), False, True)


# --- EmailMessage ------------------------------------------------------------------------------------------------


def test_a_message_with_everything_arrives_as_it_was_meant() -> None:
    meant = mail(
        From=Address("Doe, Jörg (x)", "me", "example.org"),
        To=[Address('The "One"', "one", "a.org"), Address("A. B.", "two", "a.org"), Address("", "three", "a.org")],
        Cc="friends: four@a.org, Fünf <five@a.org>;",
        Bcc="six@a.org",
        Subject="Grüße, " * 30 + "=?utf-8?q?no?=",
        X_Note="x" * 50 + "  two spaces " + "y" * 50,
    )
    meant.set_content("höhö\n" + "x" * 3000 + "\nend\n")
    meant.add_alternative("<p>höhö</p>\n", subtype="html")
    meant.add_attachment(bytes(range(256)) * 9, maintype="application", subtype="octet-stream", filename="ä ö.bin")
    before = meant.as_bytes(policy=SMTP)
    made = compose(meant)
    assert meant.as_bytes(policy=SMTP) == before, "the host's message is as it was"
    assert made.recipients == tuple(f"{name}@a.org" for name in ("one", "two", "three", "four", "five", "six"))
    assert (made.eight_bit, made.utf8, made.sender) == (False, False, "me@example.org")
    back = message_from_bytes(made.octets, policy=default)
    assert [one.display_name for one in back["To"].addresses] == ['The "One"', "A. B.", ""]
    assert (back["From"].addresses[0].display_name, back["Cc"].addresses[1].display_name) == ("Doe, Jörg (x)", "Fünf")
    assert (back["Subject"], back["X-Note"]) == (str(meant["Subject"]).strip(), meant["X-Note"])
    assert back.get_body(("plain",)).get_content() == "höhö\r\n" + "x" * 3000 + "\r\nend\r\n"  # type: ignore[union-attr]
    (attached,) = back.iter_attachments()
    assert (attached.get_content(), attached.get_filename()) == (bytes(range(256)) * 9, "ä ö.bin")
    assert max(map(len, made.octets.split(b"\r\n"))) <= 998


def test_the_same_message_object_gives_the_same_octets_twice() -> None:
    meant = mail()
    meant.add_attachment(b"x", maintype="image", subtype="png")
    assert compose(meant).octets == compose(meant).octets
    assert compose(message_from_bytes(compose(meant).octets, policy=default)).octets == compose(meant).octets


def test_a_message_that_was_received_goes_out_as_it_came() -> None:
    raw = HEAD + b"Date: x\r\nMessage-ID: <a@b.org>\r\nX-Odd: three\r\n  folds\r\n\r\nHi\r\n"
    assert compose(message_from_bytes(raw, policy=default)).octets == raw


HARD: dict[str, Callable[[], EmailMessage]] = {}


def hard(make: Callable[[], EmailMessage]) -> Callable[[], EmailMessage]:
    HARD[make.__name__] = make
    return make


@hard
def eight_bit_text() -> EmailMessage:
    made = mail()
    made.set_content("höhö\n", cte="8bit")
    return made


@hard
def a_long_line() -> EmailMessage:
    made = mail()
    del made["Content-Transfer-Encoding"]
    made.set_payload("x" * 5000 + "\n")
    return made


@hard
def a_nul() -> EmailMessage:
    made = mail()
    made.set_content("a\0b\n")
    return made


@hard
def a_bare_cr() -> EmailMessage:
    made = mail()
    made.set_payload("a\rb\n")
    return made


@hard
def raw_octets() -> EmailMessage:
    made = mail()
    made.set_content(bytes(range(256)), "application", "octet-stream", cte="binary")
    return made


@hard
def eight_bit_octets() -> EmailMessage:
    made = mail()
    made.set_content(bytes(range(128, 256)), "application", "octet-stream", cte="8bit")
    return made


@hard
def a_message_in_a_message() -> EmailMessage:
    made = mail()
    made.add_attachment(eight_bit_text())
    return made


@hard
def dots_and_from() -> EmailMessage:
    made = mail()
    made.set_content(".\n..\nFrom me\n.\n")
    return made


@pytest.mark.parametrize("name", HARD)
def test_what_could_not_pass_is_encoded_and_means_the_same(name: str) -> None:
    meant = HARD[name]()
    made = compose(meant)
    assert made.octets.isascii() and b"\0" not in made.octets and not made.eight_bit
    assert made.octets.count(b"\r") == made.octets.count(b"\n") == made.octets.count(b"\r\n")
    assert max(map(len, made.octets.split(b"\r\n"))) <= 998

    def contents(message: EmailMessage) -> list[bytes]:
        leaves = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        return [leaf.replace(b"\r\n", b"\n").rstrip(b"\n") for leaf in leaves]  # type: ignore[union-attr]

    back = message_from_bytes(made.octets, policy=default)
    if name == "a_bare_cr":
        assert back.get_payload(decode=True) == b"a\rb\n"
    else:
        assert contents(back) == contents(meant)


def test_an_address_that_is_not_ascii_is_sent_as_utf8() -> None:
    made = compose(mail(To="Jörg <jörg@müller.example>", Subject="Grüße"))
    assert (made.recipients, made.utf8, made.eight_bit) == (("jörg@müller.example",), True, True)
    assert "jörg@müller.example".encode() in made.octets
    assert compose(mail(Bcc="jörg@müller.example")).utf8, "the envelope needs it, though no octet that goes out does"


def test_a_signed_part_is_left_as_it_is() -> None:
    signed = (
        HEAD + b'Content-Type: multipart/signed; boundary="b"; protocol="x/y"\r\nMIME-Version: 1.0\r\n'
        b"Date: x\r\nMessage-ID: <a@b.org>\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Long: "
        + b"word " * 40
        + b"\r\n\r\nh\xc3\xb6h\xc3\xb6  \r\n--b\r\nContent-Type: x/y\r\n\r\nsig\r\n--b--\r\n"
    )
    made = compose(message_from_bytes(signed, policy=default))
    assert (made.octets, made.eight_bit) == (signed, True)


def broken(change: Callable[[EmailMessage], object]) -> EmailMessage:
    made = mail()
    change(made)
    return made


def deep() -> EmailMessage:
    made = mail()
    for _ in range(60):
        outer = mail()
        outer.add_attachment(made)
        made = outer
    return made


def injected(name: str, value: str) -> EmailMessage:
    made = EmailMessage(policy=compat32)
    made["From"], made["To"] = "me@example.org", "you@example.org"
    made[name] = value
    made.set_payload("Hi\n")
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda: injected("Subject", "a\r\nBcc: evil@example.org"),
        lambda: injected("Subject", "a\nBcc: evil@example.org"),
        lambda: injected("Subject", "a\rBcc: evil@example.org"),
        lambda: injected("Subject", "a\r\n\r\nbody"),
        lambda: injected("X\r\nBcc", "evil@example.org"),
        lambda: injected("X: y\r\nBcc", "evil@example.org"),
        lambda: injected("", "evil"),
        lambda: injected("X Y", "evil"),
        lambda: injected("X", "a\0b"),
        lambda: injected("To", "two@example.org"),
        lambda: broken(lambda one: one.set_payload("ä")),
        lambda: broken(lambda one: one.set_payload([1, 2])),
        lambda: broken(lambda one: one.replace_header("From", "nobody")),
        lambda: broken(lambda one: one.__delitem__("From")),
        lambda: broken(lambda one: one.__delitem__("To")),
        lambda: broken(lambda one: one.set_raw("X", object())),
        lambda: broken(lambda one: one.set_raw("References", "<" + "x" * 2000 + "@y.org>")),
        deep,
    ],
)
def test_a_message_that_was_put_together_wrongly_is_refused(make: Callable[[], EmailMessage]) -> None:
    with pytest.raises(BadMessage) as caught:
        compose(make())
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
@pytest.mark.parametrize("field", ["Subject", "To", "From", "X-Note", "Message-ID"])
def test_a_hostile_text_in_a_field_stays_in_that_field_or_is_refused(field: str, text: str) -> None:
    for policy in (default, compat32, SMTPUTF8):
        made = EmailMessage(policy=policy)  # type: ignore[arg-type]
        try:
            made[field] = text
            for name, value in (("From", "me@example.org"), ("To", "you@example.org")):
                if name != field:
                    made[name] = value
            made.set_payload("Hi\n")
            out = compose(made).octets
        except (ValueError, IndexError):  # the latter is the library's, when the field is set
            continue
        block, at = split_header(out)
        assert out[at:] == b"Hi\r\n"
        names = [line.partition(b":")[0].lower() for line in block.splitlines() if line[:1] not in (b" ", b"")]
        expected = {b"from", b"to", b"date", b"message-id", field.lower().encode()}
        assert sorted(names) == sorted(expected), policy


def test_other_kinds_of_message_are_told_to_come_as_octets() -> None:
    with pytest.raises(TypeError):
        compose(MIMEText("Hi"))  # type: ignore[arg-type]


def test_names_and_subjects_of_all_kinds_arrive_as_they_were_meant() -> None:
    chance = Random(4)
    words = ["a", "Grüße", "日本語", "O'Brien,", "(x)", '"q"', "ünï;", "a.b", "<x>", "[1]", "=?utf-8?q?x?=", "x" * 90]
    words += ["", "e\u0301", "😀", "@", "\\", "=", "_", "?"]

    def text(most: int) -> str:
        return " ".join(chance.choice(words) for _ in range(chance.randint(0, most)))

    for _ in range(100):
        names = [" ".join(text(6).split()) for _ in range(chance.randint(1, 5))]
        meant = mail(To=[Address(name, f"u{n}", "a.org") for n, name in enumerate(names)], Subject=text(30))
        subject = str(meant["Subject"]).strip()  # the library reads encoded words when they are set
        made = compose(meant)
        assert made.recipients == tuple(f"u{n}@a.org" for n in range(len(names)))
        seen = scan_header(split_header(made.octets)[0])
        assert [one.name for one in seen.to] == names, names
        assert " ".join(seen.subject.split()) == " ".join(subject.split())
        back = message_from_bytes(made.octets, policy=default)
        assert str(back["Subject"]) == subject
        assert flattened(meant) == flattened(meant)
