"""The same messages under new numbers: matching after UIDVALIDITY changed. Pure.

Evidence, strongest first: equal EMAILID (RFC 8474: proof); else equal Message-ID, size and internal date (a
fingerprint). Matching is by multiset: a key that stands once here and once there is a match; a key that stands more
often is a match only when all rows here hold the very same octets (or, with equal EMAILID, none that differ), since
then no pairing can be wrong. Everything else is downloaded again: the worst that may happen is a download, never a
wrong body.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from store import IdentityOfRow
from store.mail import MessageKey, Uid

from ..sources.base import IdentityRow

__all__ = ["Remap", "match"]


_Evidence = tuple[Callable[[IdentityOfRow | IdentityRow], Hashable | None], Callable[[list[IdentityOfRow]], bool]]
"""What two messages must share, and when several that share it may be paired in any way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remap:
    """*kept*: rows that go on under a new UID; *lost*: rows without a counterpart; *fresh*: UIDs without a row."""

    kept: tuple[tuple[MessageKey, Uid], ...]
    lost: tuple[MessageKey, ...]
    fresh: tuple[Uid, ...]


def match(here: Iterable[IdentityOfRow], there: Iterable[IdentityRow], *, drafts: bool = False) -> Remap:
    """Pair the rows *here* with the messages *there*; each is used at most once, in ascending order of UIDs.

    *drafts*: only proof counts, since all versions of a draft may have one Message-ID.
    """
    old = sorted(here, key=lambda row: row.uid)
    new = sorted(there, key=lambda row: row.uid)
    kept = _pair({row.key: row for row in old}, new, _EVIDENCE[:1] if drafts else _EVIDENCE)
    keys, uids = {key for key, _ in kept}, {uid for _, uid in kept}
    return Remap(
        kept=tuple(sorted(kept)),
        lost=tuple(row.key for row in old if row.key not in keys),
        fresh=tuple(row.uid for row in new if row.uid not in uids),
    )


def _pair(
    old: dict[MessageKey, IdentityOfRow], new: list[IdentityRow], evidences: Sequence[_Evidence]
) -> list[tuple[MessageKey, Uid]]:
    kept: list[tuple[MessageKey, Uid]] = []
    rest = new
    for evidence, alike in evidences:
        mine: dict[Hashable, list[IdentityOfRow]] = defaultdict(list)
        theirs: dict[Hashable, list[IdentityRow]] = defaultdict(list)
        for row in old.values():
            if (key := evidence(row)) is not None:
                mine[key].append(row)
        for remote in rest:
            if (key := evidence(remote)) is not None:
                theirs[key].append(remote)
        for key, rows in mine.items():
            if key in theirs and (len(rows) == len(theirs[key]) == 1 or alike(rows)):
                kept.extend((row.key, remote.uid) for row, remote in zip(rows, theirs[key], strict=False))
        paired = {key for key, _ in kept}
        taken = {uid for _, uid in kept}
        old = {key: row for key, row in old.items() if key not in paired}
        rest = [remote for remote in rest if remote.uid not in taken]
    return kept


def _proof(row: IdentityOfRow | IdentityRow) -> Hashable | None:
    return row.email_id


def _fingerprint(row: IdentityOfRow | IdentityRow) -> Hashable | None:
    """Return Message-ID, size and second of arrival, or None where one of them is not known: then nothing is proven."""
    if not row.message_id or row.size is None or not isinstance(row.internal_date, datetime):
        return None
    return row.message_id, row.size, int(row.internal_date.timestamp())


def _no_octets_differ(rows: list[IdentityOfRow]) -> bool:
    return len({row.blob_id for row in rows} - {None}) <= 1


def _same_octets(rows: list[IdentityOfRow]) -> bool:
    blobs = {row.blob_id for row in rows}
    return len(blobs) == 1 and None not in blobs


_EVIDENCE: Sequence[_Evidence] = ((_proof, _no_octets_differ), (_fingerprint, _same_octets))
