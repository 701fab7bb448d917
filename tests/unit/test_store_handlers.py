"""What a manager remembers of handlers and items."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import HandlerRecord, MailStore, open_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as opened:
        yield opened


def test_a_record_comes_back_as_it_was_put_and_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    whole = HandlerRecord(handler="x", enabled=False, active=False, policies=0x30, reason="Büro")
    first = HandlerRecord(handler="x", item="a", enabled=True)
    second = HandlerRecord(handler="x", item="a", removed=True, synced_at=NOW)
    with open_store(tmp_path / "mail.db") as store:
        for record in (first, whole, second, HandlerRecord(handler="y", item="a")):
            store.handlers.put(record)
    with open_store(tmp_path / "mail.db") as store:
        assert store.handlers.records("x") == (whole, second)
        assert store.handlers.records("nobody") == ()


def test_when_items_were_in_step_is_kept_beside_what_was_chosen(store: MailStore) -> None:
    store.handlers.put(HandlerRecord(handler="x", item="a", enabled=False, policies=1, reason="no"))
    store.handlers.synced("x", ["a", "b"], NOW)
    assert store.handlers.records("x") == (
        HandlerRecord(handler="x", synced_at=NOW),
        HandlerRecord(handler="x", item="a", enabled=False, policies=1, reason="no", synced_at=NOW),
        HandlerRecord(handler="x", item="b", synced_at=NOW),
    )


def test_a_record_has_a_handler(store: MailStore) -> None:
    with pytest.raises(ValueError, match="id"):
        store.handlers.put(HandlerRecord(handler=""))


def test_ids_that_no_text_can_spell_are_kept_and_others_are_not_touched(store: MailStore) -> None:
    store.handlers.put(HandlerRecord(handler="x'; DROP TABLE sync_items; --", item="\ud800"))
    (record,) = store.handlers.records("x'; DROP TABLE sync_items; --")
    assert record.item == "?"
