"""Events as plain JSON and back: what goes out as one value comes in as the same."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.errors import ErrorKind, Needs
from provider.events import (
    Counts,
    Event,
    ItemKind,
    ItemResult,
    ItemStatus,
    ResultStatus,
    Severity,
    SyncError,
    SyncProgress,
    SyncResult,
    as_json,
    from_json,
)
from provider.phases import Phase
from store.mail import AccountId

INSTANTS = st.datetimes(timezones=st.just(UTC))
FLOATS = st.none() | st.floats(min_value=0, max_value=1e12)
NUMBERS = st.integers(min_value=0, max_value=2**63)
COUNTS = st.builds(Counts, new=NUMBERS, read=NUMBERS, octets=NUMBERS, sent=NUMBERS)
ACCOUNTS = st.text().map(AccountId)
ERRORS = st.builds(
    SyncError,
    run_id=NUMBERS,
    seq=NUMBERS,
    at=INSTANTS,
    severity=st.sampled_from(Severity),
    kind=st.sampled_from(ErrorKind),
    needs=st.sampled_from(Needs),
    text=st.text(),
    account=st.none() | ACCOUNTS,
    folder=st.none() | st.text(),
    uid=st.none() | NUMBERS,
    server_text=st.text(),
    next_try=st.none() | INSTANTS,
)
ITEMS = st.builds(
    ItemResult,
    account=ACCOUNTS,
    folder=st.none() | st.text(),
    item=st.sampled_from(ItemKind),
    status=st.sampled_from(ItemStatus),
    counts=COUNTS,
    error=st.none() | ERRORS,
)
EVENTS = st.one_of(
    ERRORS,
    st.builds(
        SyncProgress,
        run_id=NUMBERS,
        seq=NUMBERS,
        at=INSTANTS,
        account=ACCOUNTS,
        folder=st.none() | st.text(),
        item=st.sampled_from(ItemKind),
        status=st.sampled_from(ItemStatus),
        phase=st.sampled_from(Phase),
        text=st.none() | st.text(),
        messages_total=st.none() | NUMBERS,
        octets_per_second=FLOATS,
        eta_seconds=FLOATS,
        next_try=st.none() | INSTANTS,
        counts=st.none() | COUNTS,
    ),
    st.builds(
        SyncResult,
        run_id=NUMBERS,
        seq=NUMBERS,
        at=INSTANTS,
        started_at=INSTANTS,
        status=st.sampled_from(ResultStatus),
        downloaded=COUNTS,
        items=st.lists(ITEMS, max_size=3).map(tuple),
        errors=st.lists(ERRORS, max_size=3).map(tuple),
    ),
)


@settings(max_examples=100, deadline=None)
@given(event=EVENTS)
def test_an_event_comes_back_from_json_as_the_same_value(event: Event) -> None:
    assert from_json(json.loads(json.dumps(as_json(event)))) == event


def test_names_that_are_not_known_are_passed_over() -> None:
    event = SyncProgress(
        run_id=1,
        seq=2,
        at=datetime(2026, 11, 24, tzinfo=UTC),
        account=AccountId("a"),
        status=ItemStatus.STARTED,
        phase=Phase.SYNC,
    )
    assert from_json({**as_json(event), "colour": "red"}) == event


@pytest.mark.parametrize(
    "change",
    [
        {"type": "gossip"},
        {"type": None},
        {"run_id": "1"},
        {"run_id": True},
        {"at": "yesterday"},
        {"at": "2026-11-24T10:00:00"},
        {"status": "splendid"},
        {"phase": 7},
        {"counts": [1]},
        {"octets_per_second": "fast"},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, object]) -> None:
    event = SyncProgress(
        run_id=1,
        seq=2,
        at=datetime(2026, 11, 24, tzinfo=UTC),
        account=AccountId("a"),
        status=ItemStatus.STARTED,
        phase=Phase.SYNC,
    )
    with pytest.raises(ValueError):
        from_json({**as_json(event), **change})
    with pytest.raises(ValueError):
        from_json({"type": "progress", "run_id": 1})
