"""Listing the newest page of a very large folder beside a small one: it must cost the same.

Room: tests/bench. The stores are filled through the store's public interface, in batches, as a synchronization fills
them; every message has a header of its own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from .corpus import corpus
from .figures import Figure, Samples
from .setting import Setting

__all__ = ["fill_store", "listing_seconds", "reading_figures"]

PAGE_MESSAGES = 50
SECONDS_MAX = 0.002
LISTINGS = 201
BATCH_MESSAGES = 20_000
HEADERS = 500
"""So many headers are really parsed and compressed; the others are copies of them with another digest."""
FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def reading_figures(setting: Setting) -> list[Figure]:
    """Fill two stores and list their newest page many times."""
    found: list[Samples] = []
    sizes = (setting.scale.listed, min(setting.scale.messages, setting.scale.listed // 100))
    for messages in sizes:
        with setting.place() as path:
            setting.say(f"filling a store with {messages:,} messages")
            fill_store(path, messages)
            found.append(Samples(tuple(listing_seconds(path, LISTINGS)), "ms"))
    return [
        Figure(
            name=f"list the newest {PAGE_MESSAGES} of a folder of {sizes[0]:,} messages, {LISTINGS} times",
            ours=found[0],
            peer=f"maildock, a folder of {sizes[1]:,}",
            theirs=found[1],
            limit=SECONDS_MAX,
            by_value=True,
        )
    ]


def fill_store(path: Path, messages: int) -> None:
    """Make a store with one folder of so many visible messages, a minute apart."""
    from store import AccountId, Encoder, FolderPath, NewMessage, RemoteFolderRow, Uid, UidValidity, open_store

    encoder, account, epoch = Encoder(), AccountId("bench"), UidValidity(1)
    heads = [encoder.header(one.octets[: one.octets.index(b"\r\n\r\n") + 4]) for one in corpus(HEADERS, small=True)]
    with open_store(path) as store:
        with store.write("make folder") as tx:
            tx.ensure_account(account)
            folder = tx.add_folder(account, RemoteFolderRow(name=b"INBOX", path=FolderPath(("INBOX",)), delimiter="/"))
        for start in range(1, messages + 1, BATCH_MESSAGES):
            uids = range(start, min(start + BATCH_MESSAGES, messages + 1))
            rows = [
                NewMessage(
                    uid=Uid(uid),
                    flags=frozenset({"\\Seen"}) if uid % 3 else frozenset(),
                    size=2_000 + uid % 997,
                    internal_date=FIRST + timedelta(minutes=uid),
                )
                for uid in uids
            ]
            headers = [
                (
                    Uid(uid),
                    replace(
                        heads[uid % HEADERS],
                        digest=blake2b(uid.to_bytes(8, "big"), digest_size=32).digest(),
                        message_id=f"{uid}@example.org",
                    ),
                )
                for uid in uids
            ]
            with store.write("messages") as tx:
                tx.add_messages(folder, epoch, rows)
                tx.add_headers(folder, epoch, headers)


def listing_seconds(path: Path, times: int) -> list[float]:
    """Return how long each listing of the newest page takes, a new view each time. Raises when it is not the newest."""
    from store import open_store

    found: list[float] = []
    with open_store(path) as store:
        with store.read() as view:
            (folder,) = view.folders()
        for _ in range(times):
            started = time.perf_counter()
            with store.read() as view:
                page = view.messages(folder.id, limit=PAGE_MESSAGES)
            found.append(time.perf_counter() - started)
            newest = range(folder.counts.messages, folder.counts.messages - PAGE_MESSAGES, -1)
            if [message.uid for message in page.messages] != list(newest):
                raise RuntimeError("the newest page is another one")
    return found
