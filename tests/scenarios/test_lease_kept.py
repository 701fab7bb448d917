"""A run that waits long for its server keeps its lease."""

import threading
from pathlib import Path

from provider import MailStoreProvider, SyncRequest
from provider.testing import ManualClock, MemoryServer
from store import MailStore, open_store

GUARD_SECONDS = 10


def test_a_server_that_is_silent_for_longer_than_a_lease_does_not_cost_it(tmp_path: Path) -> None:
    server = MemoryServer()
    server.append("INBOX", b"Subject: late\r\n\r\nbody\r\n")
    hang = server.faults.hang("bodies")
    clock = ManualClock()
    with (
        open_store(tmp_path / "mail.db", clock=lambda: clock.now().timestamp()) as store,
        MailStoreProvider(store, [server.account()], clock=clock) as dock,
    ):
        handle = dock.SynchronizeInBackground(SyncRequest())
        assert hang.entered.wait(GUARD_SECONDS)
        for _ in range(5):
            before = store.commits
            clock.advance(25)
            assert _committed(store, before)
        with store.read() as view:
            assert view.runs()[0].expires_at > clock.now()
        hang.release()
        assert handle.wait(GUARD_SECONDS).ok


def _committed(store: MailStore, before: int) -> bool:
    """Wait until something was committed, or the guard's time is up."""
    tick = threading.Event()
    return any(store.commits > before or tick.wait(0.05) for _ in range(int(GUARD_SECONDS / 0.05)))
