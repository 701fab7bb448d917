"""The text of a message: the right part, the right charset, nothing that harms a terminal, linear in its input."""

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mime import MimeLimits, html_to_text, preview, text


def alternative(*kinds_and_bodies: tuple[str, str]) -> bytes:
    pieces = "".join(f"--b\nContent-Type: {kind}\n\n{body}\n" for kind, body in kinds_and_bodies)
    return f"Content-Type: multipart/alternative; boundary=b\n\n{pieces}--b--\n".encode()


def test_of_alternatives_plain_text_is_read() -> None:
    assert text(alternative(("text/plain", "plain"), ("text/html", "<p>html"))) == "plain"
    assert text(alternative(("text/html", "<p>html"), ("text/plain", "plain"))) == "plain"


def test_of_alternatives_html_is_read_where_plain_text_says_nothing() -> None:
    assert text(alternative(("text/plain", "  \n"), ("text/html", "<p>html"))).strip() == "html"
    assert text(alternative(("text/calendar", "BEGIN"), ("text/html", "<p>html"))) == "html"


def test_texts_beside_each_other_follow_each_other_and_attachments_do_not() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=m\n\n--m\n\nbody\n--m\nContent-Disposition: attachment\n\nsecret\n"
        b"--m\nContent-Type: message/rfc822\n\nSubject: x\n\nattached\n--m\nContent-Type: text/html\n\n<i>footer</i>\n"
        b"--m\nContent-Type: application/pdf\n\n%PDF\n--m--\n"
    )

    assert text(raw) == "body\n\nfooter"


@pytest.mark.parametrize(
    ("charset", "octets", "meant"),
    [
        ("utf-8", "Grüße €".encode(), "Grüße €"),
        ("iso-8859-1", b"\x80 \xfc", "€ ü"),
        ("utf-8", b"Gr\xfc\xdfe", "Grüße"),
        ("us-ascii", "ü".encode(), "ü"),
        ("no-such", b"\xfc", "ü"),
        ("iso-2022-jp", "日本語".encode("iso2022_jp"), "日本語"),
        ("gb2312", "中文".encode("gb2312"), "中文"),
        ("ks_c_5601-1987", "한국어".encode("cp949"), "한국어"),
        ("utf-16", "hi".encode("utf-16"), "hi"),
        ("utf-7", b"+2AA-", "�"),
        ("unicode_escape", b"\\ud800", "\\ud800"),
        ("zlib", b"x", "x"),
        ("idna", b"xn--a", "xn--a"),
        ("'windows-1251'", "Привет".encode("cp1251"), "Привет"),
        ("utf-8", b"\xef\xbb\xbfwith a mark", "with a mark"),
    ],
)
def test_the_charset_ladder_reads_what_can_be_read(charset: str, octets: bytes, meant: str) -> None:
    """E29: declared, then UTF-8, then Windows-1252; only codecs that we know are ever asked."""
    assert text(f"Content-Type: text/plain; charset={charset}\n\n".encode() + octets) == meant


def test_html_may_declare_its_charset_itself() -> None:
    raw = b'Content-Type: text/html\n\n<head><META http-equiv=x content="text/html; charset=koi8-r"></head>\xed\xc9\xd2'

    assert text(raw) == "Мир"


def test_control_characters_do_not_reach_a_reader() -> None:
    assert text(b"\r\na\x1b[31m\x00b\x9b\r\nc\rd\te\x07") == "a[31mb�\nc\nd\te".replace("�", "›")


@pytest.mark.parametrize(
    ("parameters", "written", "meant"),
    [
        ("", "one \ntwo \nthree\nfour", "one two three\nfour"),
        ("", "> a \n> b\n>> c\nd", "> a b\n>> c\nd"),
        ("", " >not quoted\n From here", ">not quoted\nFrom here"),
        ("", "bye \n-- \nme", "bye \n-- \nme"),
        ("; delsp=yes", "日本 \n語", "日本語"),
        ("", "> a \nb", "> a \nb"),
    ],
)
def test_flowed_lines_are_joined(parameters: str, written: str, meant: str) -> None:
    """RFC 3676."""
    raw = f"Content-Type: text/plain; charset=utf-8; format=flowed{parameters}\n\n{written}".encode()

    assert text(raw) == meant


@pytest.mark.parametrize(
    ("html", "meant"),
    [
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<ul><li>a</li><li><p>b</p></li></ul>", "* a\n* b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("a  \n b\t<b>c</b> d", "a b c d"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("x<script>alert('<p>no</p>')</script>y<STYLE>p{}</STYLE >z", "xyz"),
        ("x<script>never closed", "x"),
        ("x<!-- <p>no</p> -->y", "xy"),
        ("<!DOCTYPE html><?xml x?><title>no</title><body>yes", "yes"),
        ("&lt;b&gt; &amp;amp; &nbsp;&eacute;&#8364;&#x20ac;", "<b> &amp;  é€€"),
        ("&#0;&#xD800;&#99999999999999999999;&#" + "9" * 10_000 + ";&bogus;", "\ufffd\ufffd\ufffd\ufffd&bogus;"),
        ("<a title=\"x>y\" href='a>b'>link</a>", "link"),
        ('<img src=x alt="A &amp; B"><img alt=C>', "A & BC"),
        ("1 < 2 <3 and a<b", "1 < 2 <3 and a<b"),
        ('<a title="never closed>text</a> end', "text end"),
        ("a<hr>b", "a\n\n---\nb"),
        ("", ""),
    ],
)
def test_html_is_read_as_a_reader_would_see_it(html: str, meant: str) -> None:
    assert html_to_text(html) == meant


class Watched(str):
    """HTML that counts the characters which searches from Python walk over."""

    walked = 0

    def find(self, sub: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        at = super().find(sub, start) if end is None else super().find(sub, start, end)
        self.walked += (at if at >= 0 else len(self)) - start
        return at


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        "</a",
        "<!",
        "<!--",
        "<!-- >",
        '<a "',
        "<a '>",
        "<script>",
        "<script></script ",
        "&#",
        "&aaaa",
        "<pre>",
    ],
)
def test_html_that_never_ends_is_walked_over_a_few_times_only(piece: str) -> None:
    html = Watched(piece * 50_000)

    html_to_text(html)

    assert html.walked <= 6 * len(html)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=100))
def test_what_is_escaped_is_read_as_it_was_meant(words: str) -> None:
    expected = " ".join(filter(None, words.replace("\u00a0", " ").split(" ")))

    assert " ".join(filter(None, html_to_text(escape(words)).split(" "))).strip() == expected.strip()


@given(st.lists(st.sampled_from(["<", ">", "a", "&", "#", ";", '"', "'", "<p>", "</p", "<!--", "-->", "<li>", "pre"])))
def test_any_html_gives_tidy_lines(pieces: list[str]) -> None:
    said = html_to_text("".join(pieces))

    assert said == said.strip("\n ")
    assert "\n\n\n" not in said


def test_of_a_giant_text_the_beginning_is_read() -> None:
    limits = MimeLimits(text_octets=100)

    assert text(b"\n" + b"x" * 1_000, limits) == "x" * 100
    assert text(alternative(("text/plain", "y" * 300), ("text/plain", "z")), limits) == "y" * 100


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("Hello  there,\n\nfriend", "Hello there, friend"),
        ("> quoted\nanswer", "answer"),
        ("> only quoted", "> only quoted"),
        ("a\u202eb\x1b", "ab"),
        ("", ""),
        ("x" * 141, "x" * 139 + "…"),
        ("x" * 140, "x" * 140),
        (b"Subject: s\n\nbody", "body"),
    ],
)
def test_a_preview_is_the_first_words_on_one_line(source: str | bytes, meant: str) -> None:
    assert preview(source) == meant


@given(st.binary(max_size=300))
def test_any_octets_have_a_text(octets: bytes) -> None:
    for head in (b"", b"Content-Type: text/html; charset=utf-7\n\n", b"Content-Type: text/plain; format=flowed\n\n"):
        said = text(head + octets)
        said.encode()
        assert not any(ord(char) < 32 and char not in "\t\n" for char in said)
        assert len(preview(said, 20)) <= 20
