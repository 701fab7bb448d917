"""What a daemon does when ``accounts.toml`` changes: the accounts are here at once, and start where things start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provider.cli.accounts_watch import AccountsWatch
from provider.entry import MailStoreProvider
from provider.manager.handlers.book import Kept
from provider.manager.mail.items import MAIL, StoreBook, account_item
from store import MailStore, StoreBusy, open_store
from store.mail import AccountId
from tests.contract.playing import GUARD_SECONDS, Play


class Watched:
    def __init__(self, path: Path, store: MailStore) -> None:
        self.play, self.store, self.path = Play(), store, path / "accounts.toml"
        self.dock = MailStoreProvider(store, run=self.play, source_of=lambda _account: None)  # type: ignore[arg-type,return-value]
        self.watch = AccountsWatch(self.path, store, self.dock, ())

    def write(self, *names: str) -> None:
        lines = [f'[accounts.{one}]\nhost = "mail.example"\nuser = "{one}"\npassword_env = "PW"\n' for one in names]
        self.path.write_text("\n".join(lines))
        self.path.chmod(0o600)
        self.watch(starts=True)
        for handle in self.dock.running:
            handle.wait(GUARD_SECONDS)
        assert tuple(map(str, (one.id for one in self.dock.accounts))) == names


@pytest.mark.parametrize(
    ("quiet", "runs"),
    [
        (lambda store: None, ["carol", "dave"]),
        (lambda store: store.schedules.pause(), []),
        (lambda store: store.schedules.set_offline(True), []),
        (lambda store: StoreBook(store).keep(MAIL, account_item(AccountId("carol")), Kept(enabled=False)), ["dave"]),
    ],
)
def test_accounts_that_come_start_at_once_where_things_start_by_themselves(
    tmp_path: Path, quiet: Callable[[MailStore], None], runs: list[str]
) -> None:
    with open_store(tmp_path / "mail.db") as store:
        one = Watched(tmp_path, store)
        with one.dock:
            quiet(store)
            one.write("carol")
            one.write("carol", "dave")
            assert one.play.runs == runs


def test_a_store_that_is_busy_then_costs_the_start_and_not_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(tmp_path / "mail.db") as store:
        one = Watched(tmp_path, store)

        def busy(*_: Any) -> Any:
            raise StoreBusy("the store is busy")

        monkeypatch.setattr(store.handlers, "records", busy)
        with one.dock:
            one.write("carol")
            assert one.play.runs == [] and "at once (store-busy)" in capsys.readouterr().err
