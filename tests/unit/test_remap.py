"""Matching messages after UIDVALIDITY changed: 1:1 by multiset, and never a wrong body."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from provider.engine.remap import match
from provider.sources.base import IdentityRow
from store import IdentityOfRow
from store.mail import BlobId, MessageKey, Uid

DAY = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def here(key: int, message_id: str = "", size: int = 100, blob: int | None = None, **more: object) -> IdentityOfRow:
    return IdentityOfRow(
        key=MessageKey(key),
        uid=Uid(key),
        size=size,
        internal_date=more.get("date", DAY),  # type: ignore[arg-type]
        message_id=message_id,
        email_id=more.get("email_id"),  # type: ignore[arg-type]
        received=True,
        blob_id=BlobId(blob) if blob else None,
    )


def there(uid: int, message_id: str = "", size: int = 100, **more: object) -> IdentityRow:
    return IdentityRow(
        uid=Uid(uid),
        size=size,
        internal_date=more.get("date", DAY),  # type: ignore[arg-type]
        message_id=message_id,
        email_id=more.get("email_id"),  # type: ignore[arg-type]
    )


def test_versions_of_a_draft_are_told_apart_by_proof_only() -> None:
    remap = match(
        [here(1, "a"), here(2, "b", email_id="M2")], [there(11, "a"), there(12, "b", email_id="M2")], drafts=True
    )
    assert remap.kept == ((2, 12),)
    assert remap.lost == (1,)


def test_unique_fingerprints_match() -> None:
    remap = match([here(1, "a"), here(2, "b")], [there(11, "b"), there(12, "a")])
    assert remap.kept == ((1, 12), (2, 11))
    assert remap.lost == ()
    assert remap.fresh == ()


def test_a_message_id_alone_proves_nothing() -> None:
    remap = match(
        [here(1, "a", size=100), here(2, "b")], [there(11, "a", size=101), there(12, "b", date=DAY + timedelta(days=1))]
    )
    assert remap.kept == ()
    assert remap.lost == (1, 2)
    assert remap.fresh == (11, 12)


def test_messages_without_a_message_id_are_downloaded_again() -> None:
    assert match([here(1)], [there(11)]).kept == ()


def test_an_email_id_is_proof_by_itself() -> None:
    remap = match(
        [here(1, email_id="E1"), here(2, email_id="E2")], [there(11, email_id="E2"), there(12, email_id="E1")]
    )
    assert remap.kept == ((1, 12), (2, 11))


def test_copies_of_the_same_octets_are_all_kept() -> None:
    remap = match([here(1, "a", blob=5), here(2, "a", blob=5)], [there(11, "a"), there(12, "a"), there(13, "a")])
    assert remap.kept == ((1, 11), (2, 12))
    assert remap.fresh == (13,)


def test_twins_with_different_octets_are_not_guessed() -> None:
    assert match([here(1, "a", blob=5), here(2, "a", blob=6)], [there(11, "a"), there(12, "a")]).kept == ()
    assert match([here(1, "a"), here(2, "a")], [there(11, "a"), there(12, "a")]).kept == ()


def test_copies_of_one_email_id_are_kept_even_as_headers_unless_the_octets_here_contradict() -> None:
    copies = [there(11, email_id="E"), there(12, email_id="E")]
    assert match([here(1, email_id="E"), here(2, email_id="E")], copies).kept == ((1, 11), (2, 12))
    assert match([here(1, email_id="E", blob=5), here(2, email_id="E")], copies).kept == ((1, 11), (2, 12))
    assert match([here(1, email_id="E", blob=5), here(2, email_id="E", blob=6)], copies).kept == ()


rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2)), max_size=8)


@given(rows, rows)
def test_every_row_and_every_message_is_accounted_for_once(
    mine: list[tuple[str, int]], theirs: list[tuple[str, int]]
) -> None:
    old = [here(key, id, size=size, blob=size) for key, (id, size) in enumerate(mine, 1)]
    new = [there(uid, id, size=size) for uid, (id, size) in enumerate(theirs, 101)]
    remap = match(old, new)
    assert sorted([key for key, _ in remap.kept] + list(remap.lost)) == [row.key for row in old]
    assert sorted([uid for _, uid in remap.kept] + list(remap.fresh)) == [row.uid for row in new]
    by_key, by_uid = {row.key: row for row in old}, {row.uid: row for row in new}
    assert all(
        (by_key[key].message_id, by_key[key].size) == (by_uid[uid].message_id, by_uid[uid].size)
        for key, uid in remap.kept
    )
