"""Mailboxes to be synchronized with an interruption, and what happens on the server between two synchronizations.

Room: tests/crash. Two folders, small mail, all octets distinct unless said: what comes down twice can be named.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ..servers.fakeimap import FakeImap

__all__ = ["OTHER", "SCENES", "Scene", "mail"]

OTHER = "Pythön & Co"
_FLAGS: tuple[tuple[str, ...], ...] = ((), ("\\Seen",), ("\\Flagged", "$Label1"), ("\\Answered", "\\Seen", "work"))


def mail(number: int, octets: int = 700) -> bytes:
    """A message of about so many octets, hard to compress, another one for each number."""
    head = (
        f"From: Ann <ann{number}@x.example>\r\nTo: b@x.example\r\nSubject: number {number} gr\xfc\xdfe\r\n"
        f"Date: Mon, 17 Jul 2023 02:44:25 +0200\r\nMessage-ID: <{number}@x.example>\r\n\r\n"
    ).encode("latin-1")
    return head + random.Random(number).randbytes(octets).hex().encode()[:octets] + b"\r\n"


def _date(number: int) -> str:
    return f"{number % 27 + 1:02}-Jul-2023 02:44:{number % 60:02} +0{number % 9}00"


def _fill(fake: FakeImap, folder: str, first: int, count: int, octets: int = 700) -> None:
    for number in range(first, first + count):
        fake.append(folder, mail(number, octets), _FLAGS[number % 4], _date(number))


def _two_folders(fake: FakeImap, size: int) -> None:
    fake.add_folder(OTHER)
    _fill(fake, "INBOX", 0, size)
    _fill(fake, OTHER, 10_000, size * 3 // 4)
    for folder in ("INBOX", OTHER, OTHER):
        fake.append(folder, mail(77_777), ("\\Seen",))  # the very same message, three times


def _much_happens(fake: FakeImap, size: int) -> None:
    _fill(fake, "INBOX", 20_000, size // 2)
    for uid in range(2, size, 3):
        fake.set_flags("INBOX", uid, ["\\Seen", "$Done"])
    fake.set_flags(OTHER, 1, [])
    fake.expunge("INBOX", *range(4, size, 6))
    if "OBJECTID" in fake.capabilities:  # without it, only a folder that is the same in all else is known again
        fake.expunge(OTHER, 2)
        _fill(fake, OTHER, 30_000, 3)
    fake.rename_folder(OTHER, "Archiv")
    fake.add_folder("New")
    _fill(fake, "New", 40_000, 4)


def _renumbered(fake: FakeImap, size: int) -> None:
    fake.expunge("INBOX", 3)
    fake.reset_uid_validity("INBOX")
    fake.set_flags("INBOX", 1, ["\\Flagged"])
    _fill(fake, "INBOX", 50_000, 3)


def _large_ones(fake: FakeImap, size: int) -> None:
    fake.add_folder(OTHER)
    _fill(fake, "INBOX", 60_000, size // 3)
    _fill(fake, "INBOX", 61_000, max(2, size // 12), octets=70_000)
    _fill(fake, OTHER, 62_000, 1, octets=270_000)
    _fill(fake, OTHER, 63_000, size // 6)


def _much_moves(fake: FakeImap, size: int) -> None:
    """Half of INBOX goes to another folder, some is copied, some is read, and more comes."""
    inbox, other = fake.folder("INBOX"), fake.folder(OTHER)
    for uid in range(2, size, 2):
        message = inbox.messages[uid]
        other.append(message.octets, message.flags, message.internal_date)
    fake.add_folder("Copies")
    for message in list(inbox.messages.values())[: size // 3]:
        fake.append("Copies", message.octets, (), message.internal_date)
    fake.expunge("INBOX", *range(2, size, 2))
    fake.set_flags("INBOX", 3, ["\\Flagged"])
    for number in range(size // 3):
        for folder in ("INBOX", "Copies"):
            fake.append(folder, _travelled(90_000 + number), (), _date(number))
        fake.append(OTHER, _travelled(95_000 + number), (), _date(number))


def _received(fake: FakeImap, size: int) -> None:
    fake.add_folder(OTHER)
    for number in range(size):
        fake.append("INBOX", _travelled(80_000 + number), _FLAGS[number % 4], _date(number))
    for number in range(size // 2):
        fake.append(OTHER, _travelled(85_000 + number), (), _date(number))


def _travelled(number: int) -> bytes:
    """A message that can be known again by its looks."""
    return b"Received: from a.example by b.example\r\n" + mail(number)


def _nothing(fake: FakeImap, size: int) -> None:
    """The first synchronization is the one that is interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """*fill* the server; where *again*, synchronize once; let *happen*; the synchronization after that is stopped."""

    fill: Callable[[FakeImap, int], None]
    happen: Callable[[FakeImap, int], None] = _nothing
    again: bool = False
    quiet_runs: int = 0
    """So many synchronizations after a complete one still write a row: a folder is called stable by a quiet visit."""
    limits: dict[str, object] = field(default_factory=dict)
    moves: bool = False
    """Mail that is here comes under other numbers: it comes down again where reuse is off."""
    unable: frozenset[str] = frozenset()
    """What the server cannot do, whatever it could otherwise."""


SCENES = {
    "first": Scene(fill=_two_folders),
    "second": Scene(fill=_two_folders, happen=_much_happens, again=True),
    "renumbered": Scene(fill=_two_folders, happen=_renumbered, again=True, quiet_runs=1),
    "moved": Scene(fill=_received, happen=_much_moves, again=True, moves=True),
    "moved, no ids": Scene(fill=_received, happen=_much_moves, again=True, moves=True, unable=frozenset({"OBJECTID"})),
    "large": Scene(fill=_large_ones, limits={"whole_octets": 30_000, "part_octets": 10_000}),
}
