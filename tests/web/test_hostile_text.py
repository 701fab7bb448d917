"""What mail, servers and names say is text on every page, and nothing else (attack row "XSS in monitor", T26).

Each page is asked for twice: with plain words, and with hostile ones in their places. Both are parsed, and have the
same elements with the same attributes; the hostile words are found again as text, whole.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from provider.errors import CommandRefused
from provider.monitor.pages import PAGES
from provider.monitor.words import clean
from provider.testing import MemoryServer
from store import AccountId, FolderPath

from .rig import GUARD_SECONDS, Site, fill, message
from .skeleton import Bones, bones_of

PLAIN = "plain words of no harm"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title><iframe srcdoc='<script>alert(1)</script>'>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "<!--<base href=//attacker.example/>",
    "javascript:alert(1)//&#34;&lt;&quot;&#x3c;",
    "`onfocus=alert(1) autofocus ` style=x",
    "<meta http-equiv=refresh content=0;url=//attacker.example>",
    "a&amp;copy;&notit;&#0;&#x110000;b",
)


def pages_of(directory: Path, text: str) -> dict[str, str]:
    """Return each page of a site in which *text* stands wherever it can, and each of its live parts."""
    server = MemoryServer()
    server.append("INBOX", message(text))
    server.add_folder(FolderPath((text,)))
    server.append(FolderPath((text,)), message(text))
    refused = CommandRefused(text, folder=text, server_text=text)
    server.faults.refuse("open", refused, times=1)
    with Site(directory, **{text: server}) as site:
        client = site.entered()
        assert client.post("/sync", {"account": text}).status == 303
        for handle in site.provider.running:
            handle.wait(GUARD_SECONDS)
        with site.store.read() as view:
            key = view.all_messages(AccountId(text)).messages[0].key
        fill(site.store, text, text, key)
        found = {}
        for page in PAGES:
            asked = {"show": "all"} if page.name in ("results", "outbox") else {}
            asked |= {"name": text} if page.name == "account" else {}
            query = f"?{urlencode(asked)}" if asked else ""
            told = client.get(f"{page.path}{query}")
            assert told.status == 200, page.name
            found[page.name] = told.text
            parts = {f"part-{name}" for name in page.parts if page.live} | {"part-nav"}
            for id_, html in client.events(f"{page.name}{query}"):
                found[f"{page.name} {id_}"] = html
                parts.discard(id_)
                if not parts:
                    break
        told = client.post("/schedules/add", {"group": text, "when": text, "zone": text})
        assert told.status == 400
        found["a form that is refused"] = told.text
        told = client.post("/groups/put", {"name": text, "account": text, "size": text})
        assert told.status == 400
        found["a group that is refused"] = told.text
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bones]:
    return {name: bones_of(html) for name, html in pages_of(tmp_path_factory.mktemp("plain"), PLAIN).items()}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_words_on_every_page(tmp_path: Path, plain: dict[str, Bones], text: str) -> None:
    pages = pages_of(tmp_path, text)
    assert set(pages) == set(plain)
    # A slash within a name of a folder is written otherwise, a trigger without hyphens; a flag ends at 40 characters.
    words = {clean(said)[:39] for said in (text, FolderPath((text,)), text.replace("-", " "))}
    shown = 0
    for name, html in pages.items():
        bones = bones_of(html)
        assert bones.shape == plain[name].shape, name
        assert bones.handlers == [], name
        assert all(one.startswith(("/", "#")) and not one.startswith("//") for one in bones.addresses), name
        expected = sum(PLAIN in one for one in plain[name].texts)
        found = sum(any(word in one for word in words) for one in bones.texts)
        assert found == expected, name
        shown += found
    assert shown >= 30, "there was much to show"


def test_the_comparison_finds_what_is_not_escaped() -> None:
    escaped, open_ = bones_of("<p>&lt;b&gt;</p>"), bones_of("<p><b></p>")
    assert escaped.shape != open_.shape
    assert bones_of("<p onclick=x>").handlers == ["p onclick"]


def test_control_characters_and_what_turns_text_around_do_not_come_through() -> None:
    assert clean("a\x00b\x1b[2Jc\r\nd\u202egnp.exe\u2066") == "ab[2Jc dgnp.exe"
    assert len(clean("x" * 100_000)) == 300
