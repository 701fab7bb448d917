"""Sync Center beside a daemon: it looks at the daemon's desk and asks it, and works alone when it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from provider import MailStoreProvider
from provider.manager.control.desk import LocalDesk
from provider.manager.control.server import ControlServer
from provider.manager.manager import SyncManager
from provider.testing import MemoryServer
from store import AccountId, open_store

from .rig import GUARD_SECONDS, Site, message

WORK = AccountId("work")


@contextmanager
def daemon(path: Path, server: MemoryServer) -> Iterator[MailStoreProvider]:
    """What a daemon is: a provider of its own on the same store, and a socket that answers for it."""
    with ExitStack() as life:
        store = life.enter_context(open_store(path))
        provider = life.enter_context(MailStoreProvider(store, [server.account("work")]))
        manager = life.enter_context(SyncManager(store, provider))
        life.enter_context(ControlServer(LocalDesk(provider, manager), path))
        yield provider


def mail() -> MemoryServer:
    server = MemoryServer()
    server.append("INBOX", message("Hello"))
    server.add_folder("Archive")
    server.append("Archive", message("Long ago"))
    return server


def test_what_is_asked_for_beside_a_daemon_is_done_by_it_and_seen_and_stopped_here(tmp_path: Path) -> None:
    server = mail()
    hang = server.faults.hang("bodies", "Archive")
    with Site(tmp_path, work=server) as site, daemon(site.store.path, server) as provider:
        client = site.entered()
        assert client.post("/sync", {"account": "work", "back": "running"}).status == 303
        assert hang.entered.wait(GUARD_SECONDS)
        (handle,) = provider.running
        assert site.provider.running == ()
        page = client.get("/running").text
        assert f'id="run-{handle.run_id}"' in page and "Archive" in page
        told = client.post("/cancel", {"run": str(handle.run_id), "account": "work", "folder": "Archive"})
        assert told.headers["location"].endswith("said=item-stopped")
        assert {item.folder: item.status.value for item in handle.wait(GUARD_SECONDS).items}["Archive"] == "canceled"
        assert not site.alone.is_set(), "the schedules are the daemon's"


def test_when_the_daemon_is_gone_it_works_alone(tmp_path: Path) -> None:
    server = mail()
    with Site(tmp_path, work=server) as site:
        client = site.entered()
        with daemon(site.store.path, server) as provider:
            site.alone.clear()
            assert client.post("/pause").status == 303
            assert site.store.schedules.paused
            assert client.post("/stop", {"run": "4711"}).headers["location"].endswith("said=over")
            assert not site.alone.is_set()
            assert provider.running == ()
        assert client.post("/sync", {"account": "work"}).status == 303
        for handle in site.provider.running:
            assert handle.wait(GUARD_SECONDS).ok
        assert site.alone.is_set()
        with site.store.read() as view:
            assert [run.status for run in view.runs(WORK)] == ["succeeded"]
        assert client.post("/resume").status == 303
        assert not site.store.schedules.paused


def test_an_account_that_another_process_synchronizes_is_shown_as_that(tmp_path: Path) -> None:
    with Site(tmp_path, work=mail()) as site:
        run = site.store.start_run(WORK, trigger="manual", flags=0, owner="another process", lease_seconds=60)
        client = site.entered()
        assert "in another process" in client.get("/running").text
        assert "running elsewhere" in client.get("/").text
        site.store.finish_run(run, status="succeeded", counts={})
        assert "in another process" not in client.get("/running").text


def test_going_offline_and_online_is_told_to_the_daemon_and_done_here_without_one(tmp_path: Path) -> None:
    server = mail()
    with Site(tmp_path, work=server) as site:
        client = site.entered()
        with daemon(site.store.path, server):
            assert client.post("/offline").headers["location"].endswith("said=offline")
            page = client.get("/").text
            assert "You work offline" in page and "Work online" in page
        assert site.store.schedules.offline
        assert client.post("/online").headers["location"].endswith("said=online")
        assert not site.store.schedules.offline
