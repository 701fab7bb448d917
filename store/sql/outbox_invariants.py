"""What ``store.check`` asks of the outbox: statements that return what must not be. They may read whole tables."""

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select

from ..mail.submission import DOUBTS_MAX, Fate, SubmissionState
from ..tables import BlobRow, RecipientRow, SubmissionRow, table
from .statements import sql

__all__ = ["HALF_SUBMITTED", "LEASED_ODDLY", "NEVER_TRIED", "NOBODY", "OPEN_AND_OVER", "OTHER_STATE"]

_t, _to, _b = table(SubmissionRow), table(RecipientRow), table(BlobRow)


def _is(*states: SubmissionState) -> ColumnElement[bool]:
    return _t.c.state.in_([literal_column(f"'{state.value}'") for state in states])


def _any(fate: Fate) -> ColumnElement[bool]:
    return exists().where(_to.c.submission_id == _t.c.id, _to.c.fate == literal_column(f"'{fate.value}'"))


S = SubmissionState
_over = _is(S.FILED, S.REJECTED)
_unknown, _waiting, _accepted = _any(Fate.UNKNOWN), _any(Fate.WAITING), _any(Fate.ACCEPTED)

NOBODY = sql(
    select(_t.c.id)
    .select_from(_t.outerjoin(_to, _to.c.submission_id == _t.c.id))
    .group_by(_t.c.id)
    .having(or_(func.count(_to.c.id) == 0, func.max(_to.c.number) != func.count(_to.c.id) - 1))
)
OTHER_STATE = sql(
    select(_t.c.id).where(
        or_(
            _unknown != _is(S.IN_DOUBT),
            and_(~_unknown, _waiting != _is(S.QUEUED, S.SENDING)),
            and_(~_unknown, ~_waiting, _accepted != _is(S.SENT, S.FILED)),
        )
    )
)
LEASED_ODDLY = sql(
    select(_t.c.id).where(
        or_(
            and_(_t.c.lease_until.is_not(None), _t.c.owner == literal_column("''")),
            and_(_t.c.lease_until.is_(None), _t.c.owner != literal_column("''"), ~_is(S.IN_DOUBT)),
            and_(_t.c.lease_until.is_(None), or_(_is(S.SENDING), _t.c.dot == 1)),
            and_(_t.c.lease_until.is_not(None), or_(_is(S.QUEUED), _over)),
            and_(_t.c.dot == 1, ~_is(S.SENDING, S.IN_DOUBT)),
        )
    )
)
NEVER_TRIED = sql(
    select(_t.c.id).where(
        _is(S.IN_DOUBT),
        or_(_t.c.doubts < 1, and_(_t.c.next_try.is_(None), _t.c.doubts < DOUBTS_MAX)),
    )
)
OPEN_AND_OVER = sql(select(_t.c.id).where(_t.c.finished_at.is_(None) == _over))
HALF_SUBMITTED = sql(
    select(_t.c.id)
    .join_from(_t, _b, _b.c.id == _t.c.blob_id)
    .where(or_(_b.c.digest.is_(None), _t.c.size > _b.c.octets))
)
