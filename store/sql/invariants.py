"""What ``store.check`` asks: statements that return what must not be. Only these may read whole tables."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal_column, or_, select, union_all

from ..tables import (
    ASSUMED,
    OWN,
    REFUTED,
    BlobRow,
    ChunkRow,
    CursorRow,
    FolderRow,
    FolderTombstoneRow,
    HeaderRow,
    MessageRow,
    OperationRow,
    PartialRow,
    RunRow,
    StateRow,
    TombstoneRow,
    table,
)
from .statements import p, sql
from .values import INTEGER_MAX, SEEN

__all__ = [
    "ASSUMED_NOTHING",
    "BODY_WITHOUT_HEADER",
    "COUNTS",
    "CURSOR_IMPOSSIBLE",
    "CURSOR_WITHOUT_EPOCH",
    "DOUBLED",
    "FLAGS",
    "FOLDER_TWICE",
    "FOLDER_UNWANTED",
    "GAPS",
    "HALF_ASTRAY",
    "HALF_VISIBLE",
    "HEADERS",
    "IMPOSSIBLE_NUMBERS",
    "LENGTHS",
    "MESSAGES",
    "MESSAGES_WITH_BLOB",
    "MESSAGES_WITH_HEADER",
    "OLD_EPOCH",
    "OPEN_AND_OVER",
    "PENDING_UID",
    "PENDING_UNWANTED",
    "SEQ_AHEAD",
    "SEQ_BACKWARDS",
    "SEQ_TWICE",
    "TWIN_AND_PLACE",
    "TWIN_OF_NOBODY",
    "TWIN_VISIBLE",
    "TWO_RUNS",
    "TWO_TWINS",
    "UNDEAD",
    "UNDEAD_FOLDERS",
    "VISIBLE_UNTOLD",
    "WANTED_OF_NOTHING",
    "WHOLE_BLOBS",
    "WISH_FOR_NOTHING",
]

_m, _f, _c, _h = table(MessageRow), table(FolderRow), table(CursorRow), table(HeaderRow)
_b, _k, _p, _r = table(BlobRow), table(ChunkRow), table(PartialRow), table(RunRow)
_g, _fg, _s = table(TombstoneRow), table(FolderTombstoneRow), table(StateRow)
_o = table(OperationRow)


def _sum(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_visible = _m.c.header_id.is_not(None)
_unseen = func.coalesce(_m.c.local_flags, _m.c.server_flags).op("&")(SEEN) == 0

MESSAGES = sql(select(func.count()).select_from(_m))
COUNTS = sql(
    select(
        _f.c.id,
        _f.c.messages,
        _f.c.unseen,
        _f.c.bodies,
        _f.c.listed,
        _sum(_visible),
        _sum(and_(_visible, _unseen)),
        _sum(_m.c.blob_id.is_not(None)),
        _sum(_m.c.epoch > 0),
    )
    .select_from(_f.outerjoin(_m, _m.c.folder_id == _f.c.id))
    .group_by(_f.c.id)
)
ASSUMED_NOTHING = sql(
    select(_m.c.key).where(
        or_(and_(_m.c.likeness == ASSUMED, _m.c.blob_id.is_(None)), ~_m.c.likeness.between(OWN, REFUTED))
    )
)
BODY_WITHOUT_HEADER = sql(select(_m.c.key).where(_m.c.blob_id.is_not(None), _m.c.header_id.is_(None)))
VISIBLE_UNTOLD = sql(
    select(_m.c.key).where(
        or_(
            and_(_visible, or_(_m.c.created_seq == 0, _m.c.changed_seq == 0)),
            and_(_m.c.header_id.is_(None), _m.c.changed_seq + _m.c.created_seq > 0),
        )
    )
)
_by_blob = _b.outerjoin(_k, _k.c.blob_id == _b.c.id)
GAPS = sql(
    select(_b.c.id)
    .select_from(_by_blob)
    .group_by(_b.c.id)
    .having(
        or_(
            func.count(_k.c.id) != _b.c.chunks,
            func.coalesce(func.max(_k.c.number), -1) != _b.c.chunks - 1,
            func.coalesce(func.min(_k.c.number), 0) != 0,
        )
    )
)
LENGTHS = sql(
    select(_b.c.id)
    .select_from(_by_blob)
    .group_by(_b.c.id)
    .having(func.coalesce(func.sum(_k.c.octets), 0) != _b.c.octets)
)
HALF_VISIBLE = sql(select(_m.c.key).join_from(_m, _b, _b.c.id == _m.c.blob_id).where(_b.c.digest.is_(None)))
_under_way = exists().where(_p.c.blob_id == _b.c.id)
HALF_ASTRAY = sql(
    select(_b.c.id).where(
        or_(and_(_b.c.digest.is_(None), ~_under_way), and_(_b.c.digest.is_not(None), _under_way)),
    )
)
DOUBLED = sql(select(func.max(_m.c.key)).group_by(_m.c.folder_id, _m.c.epoch, _m.c.uid).having(func.count() > 1))
OLD_EPOCH = sql(
    select(_m.c.key)
    .join_from(_m, _c, _c.c.folder_id == _m.c.folder_id)
    .where(_m.c.epoch != 0, or_(_c.c.epoch.is_(None), _c.c.epoch != _m.c.epoch))
)
CURSOR_WITHOUT_EPOCH = sql(
    select(_c.c.folder_id).where(
        _c.c.epoch.is_(None),
        or_(_c.c.mod_seq.is_not(None), _c.c.listed_from.is_not(None)),
    )
)
CURSOR_IMPOSSIBLE = sql(select(_c.c.folder_id).where(or_(_c.c.listed_from < 1, _c.c.mod_seq < 1, _c.c.uid_next < 1)))
IMPOSSIBLE_NUMBERS = sql(
    select(_m.c.key).where(or_(_m.c.uid < 1, _m.c.epoch < 0, _m.c.size < 0, _m.c.uid > INTEGER_MAX))
)
UNDEAD = sql(select(_g.c.key).join_from(_g, _m, _m.c.key == _g.c.key))
UNDEAD_FOLDERS = sql(select(_fg.c.id).join_from(_fg, _f, _f.c.id == _fg.c.id))
_given = union_all(
    select(_m.c.changed_seq.label("seq")).where(_m.c.changed_seq > 0),
    select(_g.c.seq),
    select(_f.c.changed_seq),
    select(_fg.c.seq),
).subquery()
SEQ_AHEAD = sql(
    select(_given.c.seq).where(or_(_given.c.seq > select(_s.c.change_seq).scalar_subquery(), _given.c.seq < 1))
)
SEQ_TWICE = sql(select(_given.c.seq).group_by(_given.c.seq).having(func.count() > 1))
SEQ_BACKWARDS = sql(select(_m.c.key).where(_m.c.created_seq > _m.c.changed_seq))
FLAGS = sql(
    select(_m.c.server_flags, _m.c.server_keywords, func.min(_m.c.key)).group_by(
        _m.c.server_flags, _m.c.server_keywords
    )
)
FOLDER_TWICE = sql(
    select(func.max(_f.c.id))
    .where(_f.c.state == literal_column("'active'"))
    .group_by(_f.c.account_id, _f.c.name)
    .having(func.count() > 1)
)
TWO_RUNS = sql(
    select(_r.c.account_id)
    .where(_r.c.finished_at.is_(None))
    .group_by(_r.c.account_id, _r.c.lane)
    .having(func.count() > 1)
)
_twin = _m.alias("twin")
TWIN_VISIBLE = sql(
    select(_m.c.key).where(
        _m.c.twin_of.is_not(None),
        or_(_visible, _m.c.blob_id.is_not(None), _m.c.local_flags.is_not(None), _m.c.epoch == 0),
    )
)
TWIN_OF_NOBODY = sql(
    select(_m.c.key).where(
        _m.c.twin_of.is_not(None),
        ~exists().where(
            _o.c.message == _m.c.twin_of, or_(_o.c.finished_at.is_(None), _o.c.kept == literal_column("1"))
        ),
    )
)
TWO_TWINS = sql(
    select(func.max(_m.c.key)).where(_m.c.twin_of.is_not(None)).group_by(_m.c.twin_of).having(func.count() > 1)
)
TWIN_AND_PLACE = sql(
    select(_m.c.key).join_from(_m, _twin, _twin.c.twin_of == _m.c.key).where(_m.c.epoch != 0),
)
PENDING_UNWANTED = sql(
    select(_m.c.key).where(
        _m.c.epoch == 0,
        ~exists().where(
            _o.c.message == _m.c.key,
            _o.c.kind.not_in([literal_column("'flags'"), literal_column("'download'")]),
            or_(_o.c.finished_at.is_(None), _o.c.awaits == literal_column("1"), _o.c.kept == literal_column("1")),
        ),
    )
)
PENDING_UID = sql(select(_m.c.key).where(_m.c.epoch == 0, _m.c.uid != _m.c.key))
WISH_FOR_NOTHING = sql(
    select(_m.c.key).where(
        or_(
            and_(_m.c.local_flags == _m.c.server_flags, _m.c.local_keywords == _m.c.server_keywords),
            _m.c.local_flags.is_(None) != _m.c.local_keywords.is_(None),
        )
    )
)
WANTED_OF_NOTHING = sql(
    select(_o.c.id).where(
        _o.c.finished_at.is_(None),
        _o.c.message.is_not(None),
        ~exists().where(_m.c.key == _o.c.message),
        ~exists().where(_g.c.key == _o.c.message),
    )
)
FOLDER_UNWANTED = sql(
    select(_f.c.id).where(
        _f.c.state.in_([literal_column("'local'"), literal_column("'deleting'")]),
        ~exists().where(_o.c.folder_id == _f.c.id, or_(_o.c.finished_at.is_(None), _o.c.kept == literal_column("1"))),
        ~exists().where(_m.c.folder_id == _f.c.id, _m.c.epoch == 0),
    )
)
OPEN_AND_OVER = sql(
    select(_o.c.id).where(
        or_(
            and_(
                _o.c.finished_at.is_(None),
                _o.c.state.in_([literal_column("'done'"), literal_column("'refused'")]),
            ),
            and_(
                _o.c.finished_at.is_not(None),
                ~_o.c.state.in_([literal_column("'done'"), literal_column("'refused'")]),
            ),
        )
    )
)
HEADERS = sql(select(_h.c.id, _h.c.digest, _h.c.octets).order_by(_h.c.id))
WHOLE_BLOBS = sql(select(_b.c.id).where(_b.c.digest.is_not(None)).order_by(_b.c.id))
MESSAGES_WITH_HEADER = sql(select(_m.c.key).where(_m.c.header_id == p("header")), "header")
MESSAGES_WITH_BLOB = sql(select(_m.c.key).where(_m.c.blob_id == p("blob")), "blob")
