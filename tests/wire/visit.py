"""One visit to an account by our session: what is asked of a server in a transcript, and what was read there.

Room: tests/wire. `python -m tests.wire.visit` records the transcripts of `fixtures/wire/imap/` anew, from a real
Dovecot and a real pymap: to be done whenever our octets change, and looked at before it is committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from provider.account import Account, Password, Security
from provider.cancel import Stop
from provider.sources.base import BodyWanted
from provider.sources.registry import source_of
from store.mail import AccountId
from tests.servers.dovecot import Dovecot, Profile
from tests.servers.plain_client import NewMessage, PlainClient
from tests.servers.pymap_server import PymapServer
from tests.servers.recorder import Recorder
from tests.wire.rig import Ear

__all__ = ["PASSWORD", "TRANSCRIPTS", "USER", "expected", "populate", "visit"]

TRANSCRIPTS = Path(__file__).parents[2] / "fixtures" / "wire" / "imap"
USER, PASSWORD = "reader", "open: sesame"

Row = tuple[tuple[str, ...], int | None, str]
"""Flags sorted, size as told, sha256 of the octets."""

MAIL = {
    "INBOX": [
        NewMessage(octets=b"Subject: one\r\nMessage-ID: <1@x.example>\r\n\r\nfirst\r\n", flags=("\\Seen",)),
        NewMessage(octets=b"Subject: two\r\n\r\n"),
        NewMessage(octets="Subject: drei\r\n\r\nKäse\r\n".encode("latin-1"), flags=("\\Flagged", "\\Answered")),
    ],
    "Sent": [NewMessage(octets=b"Subject: sent\r\n\r\n" + b"x" * 70 + b"\r\n", flags=("\\Seen",))],
    "Entwürfe & mehr": [NewMessage(octets=b"Subject: draft\r\n\r\nnot yet\r\n", flags=("\\Draft",))],
}
"""What the account of every transcript holds. CRLF only: Dovecot would rewrite anything else."""


def populate(client: PlainClient) -> None:
    """Fill an empty account with `MAIL`."""
    for folder, messages in MAIL.items():
        client.populate(folder, messages)


def expected() -> dict[str, list[Row]]:
    """Return what a visit to such an account must read: rows of each folder in UID order."""
    return {
        folder: [(tuple(sorted(m.flags)), len(m.octets), hashlib.sha256(m.octets).hexdigest()) for m in messages]
        for folder, messages in MAIL.items()
    }


def visit(port: int) -> dict[str, list[Row]]:
    """Log in on loopback *port* in plaintext and read everything."""
    account = Account(
        id=AccountId("visit"),
        host="127.0.0.1",
        port=port,
        security=Security.NONE,
        user=USER,
        credentials=Password(PASSWORD),
    )
    session = source_of(account).connect(Stop(), Ear())
    reading: dict[str, list[Row]] = {}
    for folder in session.folders().folders:
        if not folder.selectable:
            continue
        session.open(folder.name, None)
        rows = {row.uid: row for row in session.summaries(session.existing())}
        digests = {uid: hashlib.sha256() for uid in rows}
        for chunk in session.bodies([BodyWanted(uid=uid, size=row.size) for uid, row in rows.items()]):
            digests[chunk.uid].update(chunk.octets or b"")
        reading[str(folder.path)] = [
            (tuple(sorted(row.flags)), row.size, digests[uid].hexdigest()) for uid, row in sorted(rows.items())
        ]
    session.close()
    return reading


def _record(name: str, server: AbstractContextManager[object], enter: Callable[[object], PlainClient]) -> None:
    with server as running:
        client = enter(running)
        with client:
            populate(client)
        with Recorder(running.port) as recorder:  # type: ignore[attr-defined]
            visit(recorder.port)
    path = TRANSCRIPTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(recorder.transcript(f"One visit (tests/wire/visit.py), recorded from {name.partition('/')[0]}."))
    print(path.relative_to(TRANSCRIPTS.parents[2]))


def _main(profiles: Iterable[Profile] = Profile) -> None:
    for profile in profiles:
        _record(
            f"dovecot-2.3.19/visit-{profile.name.lower().replace('_', '-')}.txt",
            Dovecot(profile=profile),
            lambda running: running.add_user(USER, PASSWORD).client(),  # type: ignore[attr-defined]
        )
    pymap = PymapServer(user=USER, password=PASSWORD)
    _record("pymap-0.36.7/visit.txt", pymap, lambda running: running.client())  # type: ignore[attr-defined]


if __name__ == "__main__":
    _main()
