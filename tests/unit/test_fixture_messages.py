"""The messages of `fixtures/messages` say what their names promise, and no odd one harms the reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import mime

MESSAGES = Path(__file__).parents[2] / "fixtures" / "messages"

# File, subject, begin of the preview.
READABLE = [
    ("plain-ascii", "Lunch on Thursday", "Shall we meet at noon?"),
    ("utf8-encoded-words", "Grüße aus Zürich – schöne Tage", "Viele Grüße vom See! ☀"),
    ("encoded-word-split-inside-character", "✈️ Reise nach München", "Wir fahren früh los."),
    ("encoded-words-torn-between-octets", "新しい予定表", "A character is torn"),
    ("iso-2022-jp", "会議の資料", "資料を添付しました。"),
    ("gb18030", "周末去爬山吗", "天气很好，我们八点出发。𠀋"),
    ("big5", "下週的課程", "請準時到達教室。"),
    ("euc-kr", "회의 일정", "내일 오후 세 시입니다."),
    ("koi8-r", "Привет из Твери", "Река уже замёрзла."),
    ("windows-1252", "Prix : 30 € – “soldes”", "Déjà vu… l’été coûte 30 €."),
    ("windows-1252-named-iso-8859-1", "Smart quotes under a wrong name", "“quoted” – and a euro: €"),
    ("raw-8bit-headers-utf8", "Größe unbekannt", "Rohes UTF-8 im Kopf."),
    ("raw-8bit-headers-latin1", "Résumé du mois", "Latin-1 octets"),
    ("utf-16-body", "Two octets a character", "breit genug"),
    ("rtl-hebrew-arabic", "שלום مرحبا", "נפגש מחר בשעה 10."),
    ("alternative-html", "In two forms", "Plain words."),
    ("html-only", "HTML alone", "Fish & chips — café ☕"),
    ("nested-multipart", "Boxes in boxes", "The kernel."),
    ("message-rfc822", "Fwd: The inner one", "See below."),
    ("format-flowed", "Flowing text", "This paragraph was one line once, and is to become one again."),
    ("duplicate-headers", "one", "Which is it?"),
    ("no-headers", "", "Only a body, after an empty header block."),
    ("lf-only", "Unix line ends", "No CR anywhere. Second line."),
    ("mbox-from-line", "With an mbox line on top", "From here on is text."),
    ("header-without-colon", "Broken header", "Body."),
    ("missing-end-boundary", "Cut off", "The rest is los"),
    ("empty", "", ""),
]


@pytest.mark.parametrize(("name", "subject", "begins"), READABLE, ids=[row[0] for row in READABLE])
def test_a_fixture_is_read_as_its_writer_meant_it(name: str, subject: str, begins: str) -> None:
    raw = (MESSAGES / f"{name}.eml").read_bytes()
    block, _ = mime.split_header(raw)
    assert mime.scan_header(block).subject == subject
    assert mime.preview(raw).startswith(begins)


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.eml")), ids=lambda path: path.stem)
def test_every_part_of_every_fixture_can_be_taken_out(path: Path) -> None:
    raw = path.read_bytes()
    block, offset = mime.split_header(raw)
    assert raw[:offset] == block or raw[:offset].endswith(block)
    assert mime.scan_header(block).date is None or mime.scan_header(block).date.tzinfo is not None  # type: ignore[union-attr]
    for part in mime.parts(raw):
        octets = mime.part_bytes(raw, part.section)
        # Encodings shrink; only charsets could grow a part, and part_bytes does not touch those.
        assert len(octets) <= len(raw)
        assert "/" not in part.filename and "\\" not in part.filename


def test_the_fixtures_are_there() -> None:
    assert len(list(MESSAGES.glob("*.eml"))) >= 40
    readme = (MESSAGES.parent / "README.md").read_text(encoding="utf-8")
    for path in MESSAGES.glob("*.eml"):
        known = f"`{path.stem}`" in readme or any(
            f"`{path.stem[:cut]}*`" in readme for cut in range(4, len(path.stem) + 1)
        )
        assert known, f"{path.name} is not in fixtures/README.md"
