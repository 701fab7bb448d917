"""Changes made offline in the measured process, for the replay to be measured: flags, moves, new mail.

Room: tests/bench.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store import Folder, MailStore
    from store.mail import MessageKey

__all__ = ["change_offline"]

FLAG = "\\Flagged"
LETTER_OCTETS = 5_000


def change_offline(store: MailStore, kind: str, count: int) -> None:
    """Do *count* things of one *kind*: flags (in every folder), moves (out of the fullest), uploads (into INBOX)."""
    with store.read() as view:
        usable = [folder for folder in view.folders() if folder.selectable]
    folders = sorted(usable, key=lambda folder: (folder.counts.messages, folder.id), reverse=True)
    with store.edit("offline") as edit:
        match kind:
            case "flags":
                for folder in folders:
                    keys, flagged = _newest(store, folder, count)
                    edit.set_flags(keys, **({"remove": [FLAG]} if flagged else {"add": [FLAG]}))
            case "moves":
                edit.move(_newest(store, folders[0], count)[0], folders[-1].id)
            case "uploads":
                inbox = next(folder for folder in folders if str(folder.path) == "INBOX")
                for number in range(count):
                    edit.append(inbox.id, _letter(number))
            case _:
                raise ValueError(f"no such change: {kind}")


def _newest(store: MailStore, folder: Folder, count: int) -> tuple[list[MessageKey], bool]:
    """Return the newest messages of a folder, and whether the first of them is flagged."""
    with store.read() as view:
        messages = view.messages(folder.id, limit=count).messages
    return [one.key for one in messages], bool(messages) and FLAG in messages[0].flags


def _letter(number: int) -> bytes:
    head = f"From: a@bench.example\r\nSubject: letter {number}\r\nMessage-ID: <{number}@bench.example>\r\n\r\n".encode()
    return head + b"so it goes\r\n" * ((LETTER_OCTETS - len(head)) // 12)
