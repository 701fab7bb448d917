"""A session, whatever is done to it and in whatever order: its rules hold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from provider.errors import InvalidRequest
from provider.events import ItemStatus
from provider.manager.handlers.handler import HandlerId, ItemId
from provider.manager.handlers.progress import ItemProgress, Patience, SessionState
from provider.manager.handlers.session import Session
from provider.request import Trigger
from provider.testing import ManualClock

ITEMS = [ItemId(name) for name in "ab"]
ORDER = list(SessionState)

STATUSES = [ItemStatus.UPDATING] * 8 + list(ItemStatus)
TOLD = st.tuples(
    st.just("told"),
    st.sampled_from(ITEMS),
    st.sampled_from(STATUSES),
    st.integers(-3, 9),
    st.none() | st.integers(-3, 9),
)
DEEDS = st.one_of(
    TOLD,
    TOLD.map(tuple),
    TOLD.map(tuple).map(tuple),
    st.tuples(st.just("advance"), st.sampled_from(SessionState)),
    st.tuples(st.just("cancel"), st.none() | st.lists(st.sampled_from(ITEMS), max_size=2)),
    st.tuples(st.just("skip"), st.lists(st.sampled_from(ITEMS), max_size=2)),
    st.tuples(st.just("end"), st.sampled_from([one for one in ItemStatus if one.terminal])),
    st.tuples(st.just("pass"), st.floats(0, 300)),
)


def better(before: ItemProgress, after: ItemProgress) -> bool:
    """Tell whether *after* may follow *before*."""
    if before.status.terminal:
        return after == before
    totals = before.steps is None or (after.steps is not None and after.steps >= before.steps)
    return totals and after.step >= before.step and (after.steps is None or 0 <= after.step <= after.steps)


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.lists(DEEDS, max_size=30))
def test_no_item_ends_twice_or_runs_backwards_and_the_result_is_told_once(
    begun: bool, deeds: list[tuple[object, ...]]
) -> None:
    clock, ended = ManualClock(), list[Session]()
    session = Session(1, HandlerId("x"), ITEMS, trigger=Trigger.MANUAL, clock=clock, ending=ended.append)
    if begun:
        session.advance(SessionState.SYNCHRONIZING)
    for deed, *given_ in deeds:
        before, state = session.items, session.state
        result = session.result
        try:
            match deed:
                case "told":
                    item, status, step, steps = given_
                    session.told(item, status, "", step, steps)  # type: ignore[arg-type]
                case "pass":
                    clock.advance(given_[0])  # type: ignore[arg-type]
                    session.overdue(Patience(), clock.monotonic())
                case _:
                    getattr(session, str(deed))(*given_)
        except InvalidRequest:
            assert session.state is SessionState.QUEUED
        assert all(better(*pair) for pair in zip(before, session.items, strict=True))
        assert ORDER.index(session.state) >= ORDER.index(state)
        assert result is None or session.result is result
    session.end(ItemStatus.FAILED)
    assert session.result is not None
    assert ended == [session]
    assert session.result.items == session.items
    assert all(one.status.terminal for one in session.items)
