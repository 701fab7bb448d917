"""The outbox: every state and verb, leases, doubt, what is filed; nothing lost, nothing sent twice to who has it."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import pytest

from store import (
    Cancelled,
    Fate,
    Filing,
    FolderNotWritable,
    FolderState,
    KeyTaken,
    LeaseLost,
    MailStore,
    MessageKey,
    NotHere,
    OperationKind,
    Priority,
    StoreDamaged,
    SubmissionId,
    SubmissionState,
    UnknownAccount,
    UnknownFolder,
    UnknownMessage,
    UnknownSubmission,
    open_store,
)
from store.mail import AccountId, FolderId, Role
from store.mail.submission import DOUBT_SECONDS

from ..servers.injections import INJECTIONS
from .outbox_kit import HER, HIM, LATER, MINE, NEVER, OK, YOU, YOURS, Post, fates, letter
from .store_kit import ACCOUNT, LARGE, Clock, everything, listed
from .test_store_check import plant

S = SubmissionState
GONE = {"is_gone": lambda owner: owner == MINE}


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    clock = Clock()
    with open_store(tmp_path / "mail.db", clock=clock) as store:
        yield Post(store, clock)
        assert store.check(full=True).problems == ()


# --- submitting --------------------------------------------------------------------------------------------------


def test_what_is_submitted_is_durable_whole_and_in_the_queue(post: Post) -> None:
    made = post.submit(bcc=[HER])
    assert (made.state, made.waiting, made.tries) == (S.QUEUED, (YOU, HER), 0)
    assert (made.subject, made.submitted_at, made.next_try) == ("number 1", post.now, None)
    assert made.message_id.startswith("<") and made.message_id.endswith("@example.org>")
    with open_store(post.store.path, clock=post.clock) as other, other.read() as view:
        assert view.submissions() == (made,)


def test_bcc_never_goes_out_and_stays_in_the_kept_copy(post: Post) -> None:
    sent = post.folder("Sent", Role.SENT)
    made = post.submit(bcc=[HER], body="x" * 70 + "\n")
    out = b"".join(post.outbox.octets(made.id))
    assert (len(out), b"\r\nbcc:" in out.lower(), HER.encode() in out) == (made.size, False, False)
    post.claim()
    post.outbox.settle(made.id, MINE, fates(YOU, HER))
    post.claim()
    key = post.outbox.filed(made.id, MINE, folder=sent)
    assert key is not None
    with post.store.read() as view:
        assert f"Bcc: {HER}\r\n".encode() in view.raw(key)
        assert len(view.raw(key)) > made.size


def test_a_large_message_comes_in_pieces_and_no_snapshot_is_kept_between_them(post: Post) -> None:
    made = post.submit(body=("x" * 70 + "\n") * (LARGE // 71))
    pieces = post.outbox.octets(made.id)
    first = next(pieces)
    assert post.outbox.cancel(made.id) is Cancelled.REMOVED
    post.store.purge()
    assert post.all() == ()
    with pytest.raises(StoreDamaged):  # nobody could have cancelled what is held; a piece that is gone is told
        list(pieces)
    assert first.startswith(b"Date: ")


def test_damaged_octets_are_told_before_the_message_ends(post: Post) -> None:
    made = post.submit(body=("x" * 70 + "\n") * (LARGE // 71))
    plant(post.store, "UPDATE blobs SET digest = randomblob(32)")
    with pytest.raises(StoreDamaged):
        list(post.outbox.octets(made.id))
    plant(
        post.store,
        "DELETE FROM recipients; DELETE FROM submissions; DELETE FROM blobs; DELETE FROM chunks; DELETE FROM headers",
    )


def test_octets_of_what_is_not_there_are_told(post: Post) -> None:
    with pytest.raises(UnknownSubmission):
        next(post.outbox.octets(SubmissionId(9)))
    with pytest.raises(UnknownSubmission), post.store.read() as view:
        view.submission(SubmissionId(9))


def test_a_second_submit_with_one_key_gives_back_the_first(post: Post) -> None:
    made = post.submit(key="a")
    post.wait(3)
    assert post.submit(key="a") == made
    post.claim()
    again = post.submit(key="a")
    assert (again.id, again.state) == (made.id, S.SENDING)
    assert len(post.all()) == 1


@pytest.mark.parametrize("other", [{"number": 2}, {"recipients": [HER]}, {"sender": HER}, {"body": "Ho\n"}])
def test_another_message_or_envelope_under_one_key_is_refused(post: Post, other: dict[str, object]) -> None:
    post.submit(key="a")
    before = everything(post.store.path)
    with pytest.raises(KeyTaken):
        post.submit(key="a", **other)
    assert everything(post.store.path) == before


def test_keys_are_an_account_s_own_and_none_is_no_key(post: Post) -> None:
    first = post.submit(key="a")
    second = post.outbox.submit(AccountId("work"), letter(2), key="a")
    assert len({first.id, second.id, post.submit().id, post.submit().id}) == 4


def test_a_key_is_free_again_when_its_submission_was_taken_back(post: Post) -> None:
    made = post.submit(key="a")
    assert post.outbox.cancel(made.id) is Cancelled.REMOVED
    assert post.submit(2, key="a").id > made.id


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_a_hostile_text_is_taken_as_it_is_or_refused_wherever_it_is_given(post: Post, text: str) -> None:
    post.outbox.resume(ACCOUNT)
    for about in (
        {"key": text},
        {"sender": text},
        {"recipients": [text]},
        {"sender": f"{text}@example.org"},
        {"recipients": [f"me@{text}"]},
        {"recipients": [YOU, f"{text}@example.org"]},
    ):
        before = post.all()
        try:
            made = post.submit(**about)
        except ValueError as error:
            refused = str(error)
            assert (post.all(), len(refused) < 200) == (before, True), "what was given is not repeated"
            continue
        assert made.key in ("", text)
        for address in (made.sender, *made.waiting):
            bare = re.sub(r'^"(?:[^"\\]|\\.)*"@', "q@", address)  # what is quoted well ends where it says
            assert address.isprintable() and not set(bare) & set(' <>\r\n\0"\\'), "nothing that ends a command"
            assert address in (text, f"{text}@example.org", f"me@{text}", YOU, "me@example.org")


@pytest.mark.parametrize(
    "about", [{"key": "x" * 201}, {"key": "a\tb"}, {"not_before": datetime(2026, 1, 1)}, {"recipients": YOU}]
)
def test_arguments_that_make_no_sense_are_refused(post: Post, about: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        post.submit(**about)
    with pytest.raises(ValueError):
        post.outbox.submit(AccountId(""), letter())
    with pytest.raises(ValueError):
        post.claim(owner="")
    with pytest.raises(ValueError):
        post.claim(owner="a\ud800")
    with pytest.raises(ValueError):
        post.claim(seconds=0.5)
    assert post.store.commits == 0


# --- which goes next ---------------------------------------------------------------------------------------------


def claimed(post: Post) -> list[int]:
    found = []
    while (one := post.claim()) is not None:
        found.append(int(one.id))
    return found


def test_messages_go_in_the_order_of_submitting_within_their_priority(post: Post) -> None:
    for number, priority in enumerate((Priority.NORMAL, Priority.LOW, Priority.HIGH, Priority.NORMAL, Priority.HIGH)):
        post.submit(number, priority=priority)
    assert claimed(post) == [3, 5, 1, 4, 2]


def test_what_is_for_later_waits_without_holding_up_others(post: Post) -> None:
    later = post.submit(1, not_before=post.after(60))
    post.submit(2)
    post.submit(3)
    assert claimed(post) == [2, 3]
    assert post.outbox.release(SubmissionId(2), MINE, next_try=post.after(30)).next_try == post.after(30)
    assert claimed(post) == []
    post.outbox.settle(SubmissionId(3), MINE, fates(YOU))
    post.wait(30)
    assert claimed(post) == [2, 3], "the third one is sent, and waits for its copy"
    post.outbox.settle(SubmissionId(2), MINE, fates(YOU, fate=Fate.REFUSED))
    post.outbox.filed(SubmissionId(3), MINE)
    post.wait(30)
    assert later.not_before == post.now
    assert claimed(post) == [1]


def test_nothing_of_a_suspended_account_is_sent_until_it_is_resumed(post: Post) -> None:
    post.submit()
    post.outbox.submit(AccountId("work"), letter())
    assert post.outbox.suspend(ACCOUNT)
    assert not post.outbox.suspend(ACCOUNT)
    assert post.outbox.suspended(ACCOUNT) and not post.outbox.suspended(AccountId("work"))
    post.submit(2)
    assert post.claim() is None
    assert post.outbox.claim(AccountId("work"), owner=MINE) is not None
    assert post.outbox.resume(ACCOUNT)
    assert not post.outbox.resume(ACCOUNT)
    assert claimed(post) == [1, 3]


def test_an_account_that_is_not_known_has_an_empty_outbox(post: Post) -> None:
    assert post.claim() is None
    with pytest.raises(UnknownAccount):
        post.outbox.suspended(ACCOUNT)
    with pytest.raises(UnknownAccount):
        post.outbox.filing(ACCOUNT)
    assert post.outbox.suspend(ACCOUNT)
    with post.store.read() as view:
        assert view.submissions(ACCOUNT) == ()


def test_a_look_into_an_empty_outbox_writes_nothing(post: Post) -> None:
    post.submit(not_before=post.after(60))
    commits = post.store.commits
    assert post.claim() is None
    assert post.store.commits == commits


# --- sending -----------------------------------------------------------------------------------------------------


def test_a_message_that_all_took_is_sent_and_then_filed(post: Post) -> None:
    made = post.sent(to=[YOU, HER])
    assert (made.state, made.tries, made.doubts, made.reply) == (S.SENT, 1, 0, OK)
    assert {one.fate for one in made.recipients} == {Fate.ACCEPTED}
    assert post.claim(filing=False) is None, "one that cannot file need not look at it"
    held = post.claim()
    assert held is not None and held.state is S.SENT and held.waiting == ()
    assert post.outbox.filed(made.id, MINE) is None
    over = post.one(made.id)
    assert (over.state, over.finished_at, over.lease_until) == (S.FILED, post.now, None)
    assert post.claim() is None


def test_what_was_refused_for_now_goes_again_to_those_only(post: Post) -> None:
    made = post.submit(to=[YOU, HER, HIM])
    post.claim()
    told = [*fates(YOU), *fates(HER, fate=Fate.WAITING, reply=LATER), *fates(HIM, fate=Fate.REFUSED, reply=NEVER)]
    waits = post.outbox.settle(made.id, MINE, told, next_try=post.after(30), reason="one is to be tried again")
    assert (waits.state, waits.waiting, waits.next_try) == (S.QUEUED, (HER,), post.after(30))
    assert [one.reply for one in waits.recipients] == [None, LATER, NEVER]
    assert post.claim() is None
    post.wait(30)
    assert (again := post.claim()) is not None
    assert again.waiting == (HER,)
    done = post.outbox.settle(made.id, MINE, fates(HER, fate=Fate.REFUSED, reply=NEVER))
    assert (done.state, done.tries) == (S.SENT, 2), "one took it, so there is a copy to file"


def test_a_message_that_nobody_took_is_rejected_and_stays_until_somebody_acts(post: Post) -> None:
    made = post.submit()
    post.claim()
    done = post.outbox.settle(made.id, MINE, fates(YOU, fate=Fate.REFUSED, reply=NEVER), reason="no such user")
    assert (done.state, done.reason, done.next_try, done.finished_at) == (S.REJECTED, "no such user", None, post.now)
    assert post.claim() is None
    post.wait(60 * 24 * 400)
    post.store.purge()
    assert post.outbox.retry(made.id)
    again = post.claim()
    assert again is not None and (again.state, again.waiting, again.finished_at) == (S.SENDING, (YOU,), None)


def test_who_has_it_is_never_sent_to_again(post: Post) -> None:
    made = post.submit(to=[YOU, HER])
    post.claim()
    post.outbox.settle(made.id, MINE, fates(YOU))
    post.claim()
    for fate in (Fate.WAITING, Fate.REFUSED, Fate.UNKNOWN):
        with pytest.raises(ValueError):
            post.outbox.settle(made.id, MINE, fates(YOU, fate=fate), in_doubt=True)
    assert [one.fate for one in post.one(made.id).recipients] == [Fate.ACCEPTED, Fate.WAITING]


def test_what_makes_no_sense_is_not_settled(post: Post) -> None:
    made = post.submit()
    post.claim()
    before = everything(post.store.path)
    with pytest.raises(ValueError):
        post.outbox.settle(made.id, MINE, fates(HIM))
    with pytest.raises(ValueError):
        post.outbox.settle(made.id, MINE, fates(YOU, fate=Fate.UNKNOWN))
    with pytest.raises(ValueError):
        post.outbox.settle(made.id, MINE, fates(YOU), in_doubt=True)
    with pytest.raises(ValueError):
        post.outbox.filed(made.id, MINE)
    assert everything(post.store.path) == before


def test_a_way_out_that_is_closed_costs_nothing_but_time(post: Post) -> None:
    made = post.submit()
    post.claim()
    back = post.outbox.release(made.id, MINE, next_try=post.after(1), reason="no line", tried=True)
    assert (back.state, back.tries, back.reason, back.next_try) == (S.QUEUED, 1, "no line", post.after(1))
    post.wait(1)
    assert post.claim() is not None
    assert post.outbox.release(made.id, MINE).next_try is None
    assert post.claim() is not None


def test_a_server_s_answer_is_kept_as_text_and_not_without_end(post: Post) -> None:
    made = post.submit()
    post.claim()
    odd = LATER.__class__(code=451, enhanced="4.0.0", text="\ud800'; DROP TABLE submissions; --" + "x" * 9000)
    told = post.outbox.settle(made.id, MINE, fates(YOU, fate=Fate.WAITING, reply=odd), reply=odd, reason="\ud800")
    assert told.reply is not None and told.reply.text.startswith("?'; DROP TABLE") and len(told.reply.text) == 2000
    assert told.recipients[0].reply == told.reply
    assert told.reason == "?"


# --- leases ------------------------------------------------------------------------------------------------------


def test_what_somebody_holds_nobody_else_gets(post: Post) -> None:
    made = post.submit()
    held = post.claim(seconds=60)
    assert held is not None and (held.state, held.lease_until) == (S.SENDING, post.after(1))
    assert post.claim(YOURS) is None
    for verb in (post.outbox.renew, post.outbox.about_to_end, post.outbox.release, post.outbox.settle):
        with pytest.raises(LeaseLost):
            verb(made.id, YOURS)
    with pytest.raises(LeaseLost):
        post.outbox.filed(made.id, YOURS)


def test_a_lease_is_renewed_and_expires_and_an_expired_one_that_nobody_took_is_still_good(post: Post) -> None:
    made = post.submit()
    post.claim(seconds=60)
    post.wait(0.9)
    seq = cursor(post.store)
    post.outbox.renew(made.id, MINE)
    assert cursor(post.store) == seq, "nobody is woken by it"
    post.wait(0.9)
    assert post.claim(YOURS) is None
    post.wait(0.2)
    post.outbox.renew(made.id, MINE)
    post.wait(1)
    taken = post.claim(YOURS)
    assert taken is not None and (taken.tries, taken.doubts) == (1, 0)
    with pytest.raises(LeaseLost):
        post.outbox.about_to_end(made.id, MINE)


def test_what_a_dead_owner_had_not_ended_is_sent_by_the_next_one_at_once(post: Post) -> None:
    made = post.submit()
    post.claim(seconds=3600)
    assert post.claim(YOURS, is_gone=lambda owner: False) is None
    taken = post.claim(YOURS, **GONE)
    assert taken is not None and (taken.id, taken.waiting, taken.doubts) == (made.id, (YOU,), 0)


def test_with_the_dot_out_the_lease_covers_the_wait_for_the_answer(post: Post) -> None:
    made = post.submit()
    post.claim(seconds=60)
    post.outbox.about_to_end(made.id, MINE)
    post.wait(10.5)
    assert post.claim(YOURS) is None
    assert post.one(made.id).state is S.SENDING
    assert post.outbox.settle(made.id, MINE, fates(YOU)).state is S.SENT


def test_a_clock_that_stepped_back_makes_no_lease_last_for_ever(post: Post) -> None:
    post.submit()
    post.claim(seconds=60)
    post.wait(-60 * 24)
    assert post.claim(YOURS) is not None


# --- doubt -------------------------------------------------------------------------------------------------------


def test_no_answer_behind_the_dot_is_doubt_and_is_left_alone_for_ten_minutes(post: Post) -> None:
    made = post.doubted(to=[YOU, HER])
    assert (made.state, made.doubts, made.tries, made.reason) == (S.IN_DOUBT, 1, 1, "the line was cut")
    assert made.next_try == post.after(DOUBT_SECONDS / 60) and made.waiting == (YOU, HER)
    assert {one.fate for one in made.recipients} == {Fate.UNKNOWN}
    post.wait(9.9)
    assert post.claim() is None
    post.wait(0.1)
    held = post.claim()
    assert held is not None and held.state is S.IN_DOUBT, "who holds it has to look for it first"


def test_a_dead_owner_whose_dot_was_out_leaves_a_doubt(post: Post) -> None:
    made = post.submit()
    post.claim(seconds=3600)
    post.outbox.about_to_end(made.id, MINE)
    assert post.claim(YOURS, **GONE) is None
    left = post.one(made.id)
    assert (left.state, left.doubts, left.tries, left.next_try) == (S.IN_DOUBT, 1, 1, post.after(10))
    assert left.lease_until is None and "answer" in left.reason
    with pytest.raises(LeaseLost):
        post.outbox.settle(made.id, YOURS, fates(YOU))
    assert post.outbox.settle(made.id, MINE, fates(YOU)).state is S.SENT, "its answer came after all"


def test_who_was_refused_before_the_dot_is_not_in_doubt(post: Post) -> None:
    made = post.submit(to=[YOU, HER, HIM])
    post.claim()
    post.outbox.about_to_end(made.id, MINE)
    told = [*fates(HER, fate=Fate.WAITING, reply=LATER), *fates(HIM, fate=Fate.REFUSED, reply=NEVER)]
    left = post.outbox.settle(made.id, MINE, told, in_doubt=True)
    assert [one.fate for one in left.recipients] == [Fate.UNKNOWN, Fate.WAITING, Fate.REFUSED]
    assert left.state is S.IN_DOUBT


def test_what_is_found_in_sent_was_sent(post: Post) -> None:
    made = post.doubted()
    post.wait(10)
    post.claim()
    found = post.outbox.settle(made.id, MINE, fates(YOU), reason="found in Sent", tried=False)
    assert (found.state, found.tries, found.doubts) == (S.SENT, 1, 1)


def test_one_in_doubt_that_is_sent_again_stays_in_doubt_until_the_answer(post: Post) -> None:
    made = post.doubted()
    post.wait(10)
    post.claim(seconds=60)
    assert post.claim(YOURS, **GONE) is not None, "the owner died before the second dot: still the first doubt"
    assert post.one(made.id).doubts == 1
    post.outbox.about_to_end(made.id, YOURS)
    assert post.outbox.settle(made.id, YOURS, fates(YOU)).state is S.SENT


@pytest.mark.parametrize("dies", [False, True])
def test_the_second_doubt_waits_for_a_person(post: Post, dies: bool) -> None:
    made = post.doubted()
    post.wait(10)
    post.claim()
    post.outbox.about_to_end(made.id, MINE)
    if dies:
        assert post.claim(YOURS, **GONE) is None
    else:
        post.outbox.settle(made.id, MINE, in_doubt=True, next_try=post.after(10))
    left = post.one(made.id)
    assert (left.state, left.doubts, left.next_try) == (S.IN_DOUBT, 2, None)
    post.wait(60 * 24 * 30)
    assert post.claim(YOURS) is None
    assert post.outbox.retry(made.id)
    assert post.claim(YOURS) is not None
    waits = post.outbox.release(made.id, YOURS, next_try=post.after(1))
    assert waits.next_try == post.after(1), "what a person asked for is not forgotten for want of a line"


def test_one_in_doubt_is_never_due_at_once_by_being_given_back(post: Post) -> None:
    made = post.doubted()
    first = made.next_try
    post.wait(10)
    post.claim()
    assert post.outbox.release(made.id, MINE).next_try == first
    post.claim()
    told = fates(YOU, fate=Fate.WAITING, reply=LATER)
    left = post.outbox.settle(made.id, MINE, told, next_try=post.after(30), reason="refused for now")
    assert (left.state, left.next_try, left.doubts) == (S.IN_DOUBT, post.after(30), 1)
    assert [(one.fate, one.reply) for one in left.recipients] == [(Fate.UNKNOWN, LATER)], "it is looked for again"


# --- taking back -------------------------------------------------------------------------------------------------


def test_cancel_removes_what_waits_and_not_what_is_being_sent_and_not_what_was(post: Post) -> None:
    queued, filed = post.submit(1), None
    assert post.outbox.cancel(queued.id) is Cancelled.REMOVED
    assert post.outbox.cancel(queued.id) is Cancelled.NOT_IN_QUEUE
    held = post.submit(2)
    post.claim()
    assert post.outbox.cancel(held.id) is Cancelled.BEING_SENT
    post.outbox.settle(held.id, MINE, fates(YOU))
    assert post.outbox.cancel(held.id) is Cancelled.NOT_IN_QUEUE
    post.claim()
    filed = post.outbox.filed(held.id, MINE)
    assert filed is None
    assert post.outbox.cancel(held.id) is Cancelled.NOT_IN_QUEUE
    assert [one.id for one in post.all()] == [held.id]


def test_cancel_takes_what_an_expired_owner_left(post: Post) -> None:
    made = post.submit()
    post.claim(seconds=60)
    post.wait(2)
    assert post.outbox.cancel(made.id) is Cancelled.REMOVED
    with pytest.raises(LeaseLost):
        post.outbox.about_to_end(made.id, MINE)
    held = post.submit()
    post.claim(seconds=3600)
    assert post.outbox.cancel(held.id, is_gone=lambda owner: owner == YOURS) is Cancelled.BEING_SENT
    assert post.outbox.cancel(held.id, **GONE) is Cancelled.REMOVED
    assert post.all() == ()


def test_one_in_doubt_or_rejected_can_be_given_up(post: Post) -> None:
    assert post.outbox.cancel(post.doubted(number=1).id) is Cancelled.REMOVED
    made = post.submit(2)
    post.claim()
    post.outbox.settle(made.id, MINE, fates(YOU, fate=Fate.REFUSED))
    assert post.outbox.cancel(made.id) is Cancelled.REMOVED
    assert post.all() == ()


def test_what_some_have_already_is_not_sent_to_others_and_counts_as_sent(post: Post) -> None:
    made = post.submit(to=[YOU, HER])
    post.claim()
    post.outbox.settle(made.id, MINE, fates(YOU), next_try=post.after(30))
    assert post.outbox.cancel(made.id) is Cancelled.REMOVED
    left = post.one(made.id)
    assert (left.state, [one.fate for one in left.recipients]) == (S.SENT, [Fate.ACCEPTED, Fate.REFUSED])
    assert "taken back" in left.reason
    assert post.outbox.cancel(made.id) is Cancelled.NOT_IN_QUEUE


def test_retry_makes_due_what_waits_and_nothing_else(post: Post) -> None:
    made = post.submit(not_before=post.after(60))
    assert post.outbox.retry(made.id)
    assert post.claim() is not None
    assert not post.outbox.retry(made.id), "it is being sent"
    assert post.outbox.retry(made.id, **GONE), "whoever was sending it is gone"
    assert post.claim() is not None
    post.outbox.settle(made.id, MINE, fates(YOU, fate=Fate.WAITING), next_try=post.after(30))
    assert post.outbox.retry(made.id)
    assert post.claim() is not None
    post.outbox.settle(made.id, MINE, fates(YOU))
    post.claim()
    post.outbox.release(made.id, MINE, next_try=post.after(30), reason="Sent cannot be reached")
    assert post.outbox.retry(made.id), "its copy waits to be filed"
    post.claim()
    post.outbox.filed(made.id, MINE)
    assert not post.outbox.retry(made.id)
    with pytest.raises(UnknownSubmission):
        post.outbox.retry(SubmissionId(99))


def test_one_in_doubt_that_a_person_wants_sent_is_due_before_the_ten_minutes(post: Post) -> None:
    made = post.doubted()
    assert post.outbox.retry(made.id)
    held = post.claim()
    assert held is not None and (held.state, held.doubts) == (S.IN_DOUBT, 1)


# --- filing ------------------------------------------------------------------------------------------------------


def test_the_copy_is_an_ordinary_append_and_the_draft_an_ordinary_deletion(post: Post) -> None:
    sent, drafts = post.folder("Sent", Role.SENT), post.folder("Drafts", Role.DRAFTS)
    with post.store.edit("draft") as edit:
        draft = edit.append(drafts, letter(), flags=["\\Draft"])
    with post.store.write("told") as tx:
        tx.settle.arrived_somewhere([one.id for one in tx.view.operations()])
    made = post.sent(draft=draft)
    assert made.draft == draft
    post.claim()
    blobs = len(everything(post.store.path)["blobs"])
    key = post.outbox.filed(made.id, MINE, folder=sent)
    assert key is not None
    assert len(everything(post.store.path)["blobs"]) == blobs, "the octets are here already"
    with post.store.read() as view:
        copy = view.message(key)
        assert (copy.folder_id, copy.flags, copy.pending) == (sent, {"\\Seen"}, True)
        assert view.raw(key).startswith(b"Date: ")
        wanted = {(one.kind, one.message) for one in view.operations()}
        assert wanted == {(OperationKind.APPEND, key), (OperationKind.DELETE, draft)}
        with pytest.raises(UnknownMessage):
            view.message(draft)
    assert post.one(made.id).draft is None


def test_a_draft_that_somebody_deleted_first_is_no_trouble(post: Post) -> None:
    drafts = post.folder("Drafts", Role.DRAFTS)
    with post.store.edit("draft") as edit:
        draft = edit.append(drafts, letter())
    made = post.sent(draft=draft)
    with post.store.edit("second thoughts") as edit:
        edit.delete([draft], for_good=True)
    post.claim()
    assert post.outbox.filed(made.id, MINE) is None
    assert post.one(made.id).state is S.FILED


def test_a_draft_is_a_message_of_the_same_account(post: Post) -> None:
    post.outbox.suspend(ACCOUNT)
    with pytest.raises(UnknownMessage):
        post.submit(draft=MessageKey(1))
    with post.store.write("folder") as tx:
        tx.ensure_account(AccountId("work"))
        there = tx.add_folder(AccountId("work"), listed("Drafts"))
    with post.store.edit("draft") as edit:
        draft = edit.append(there, letter())
    with pytest.raises(NotHere):
        post.submit(draft=draft)
    assert post.all() == ()


def test_a_copy_that_cannot_be_filed_leaves_all_as_it_was(post: Post) -> None:
    sent = post.folder("Sent", Role.SENT)
    made = post.sent()
    post.claim()
    with post.store.write("gone") as tx:
        tx.set_folder_state(sent, FolderState.MISSING, post.now)
        tx.ensure_account(AccountId("work"))
        elsewhere = tx.add_folder(AccountId("work"), listed("Sent"))
    before = everything(post.store.path)
    with pytest.raises(FolderNotWritable):
        post.outbox.filed(made.id, MINE, folder=sent)
    with pytest.raises(UnknownFolder):
        post.outbox.filed(made.id, MINE, folder=FolderId(99))
    with pytest.raises(NotHere):
        post.outbox.filed(made.id, MINE, folder=elsewhere)
    assert everything(post.store.path) == before
    assert post.outbox.release(made.id, MINE, next_try=post.after(5), reason="Sent is missing").state is S.SENT


def test_who_files_copies_is_learned_once_an_account(post: Post) -> None:
    post.outbox.suspend(ACCOUNT)
    assert post.outbox.filing(ACCOUNT) is Filing.UNKNOWN
    assert post.outbox.learn_filing(ACCOUNT, Filing.PROVIDER)
    assert not post.outbox.learn_filing(ACCOUNT, Filing.PROVIDER)
    assert post.outbox.filing(ACCOUNT) is Filing.PROVIDER
    assert post.outbox.suspended(ACCOUNT)


# --- keeping, removing, hearing ----------------------------------------------------------------------------------


def test_what_was_filed_is_forgotten_after_thirty_days_and_its_octets_with_it(post: Post) -> None:
    made = post.sent()
    post.claim()
    post.outbox.filed(made.id, MINE)
    post.wait(60 * 24 * 30 - 1)
    assert not post.store.purge_due()
    assert (post.store.purge().submissions, len(post.all())) == (0, 1)
    post.wait(1)
    assert post.store.purge_due()
    report = post.store.purge()
    assert (report.submissions, report.blobs, report.headers) == (1, 1, 1)
    assert post.all() == ()
    assert everything(post.store.path)["recipients"] == []


def test_octets_of_a_submission_are_never_purged(post: Post) -> None:
    made = post.sent()
    for _ in range(3):
        post.wait(60 * 24 * 40)
        assert post.store.purge(tombstones_older_than_days=0).blobs == 0
    assert len(b"".join(post.outbox.octets(made.id))) == made.size


def test_an_account_that_is_removed_takes_its_outbox_along(post: Post) -> None:
    post.submit()
    post.outbox.suspend(ACCOUNT)
    with post.store.write("remove") as tx:
        tx.remove_account(ACCOUNT)
    assert post.claim() is None
    assert post.store.purge().blobs == 1
    assert [rows for name, rows in everything(post.store.path).items() if name in OUTBOX] == [[], [], []]


OUTBOX = ("submissions", "recipients", "outboxes")


def cursor(store: MailStore) -> int:
    with store.read() as view:
        return view.cursor_seq()


def test_whoever_waits_for_a_change_hears_of_the_outbox_and_reads_it_anew(post: Post) -> None:
    before = cursor(post.store)
    for step in (
        post.submit,
        post.claim,
        lambda: post.outbox.settle(SubmissionId(1), MINE, fates(YOU)),
        post.claim,
        lambda: post.outbox.filed(SubmissionId(1), MINE),
        lambda: post.outbox.suspend(ACCOUNT),
        lambda: post.submit(2),
        lambda: post.outbox.cancel(SubmissionId(2)),
    ):
        step()
        assert post.store.wait_for_change(before, 0)
        page = post.store.changes(before)
        assert (page.changes, page.cursor) == ((), cursor(post.store))
        before = page.cursor


def test_lists_are_by_account_in_order_and_by_state(post: Post) -> None:
    post.sent(number=1)
    post.submit(2)
    post.outbox.submit(AccountId("work"), letter(3))
    with post.store.read() as view:
        assert [one.id for one in view.submissions()] == [1, 2, 3]
        assert [one.id for one in view.submissions(states=[S.QUEUED])] == [2, 3]
        assert [one.id for one in view.submissions(ACCOUNT, [S.SENT, S.FILED])] == [1]
        with pytest.raises(UnknownAccount):
            view.submissions(AccountId("nobody"))


def test_every_step_of_sending_is_on_disk_before_it_returns(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    writing = post.store._database.writing

    def watched(name: str, *, durable: bool) -> AbstractContextManager[sqlite3.Connection]:
        asked.append((name, durable))
        return writing(name, durable=durable)

    monkeypatch.setattr(post.store._database, "writing", watched)
    made = post.sent()
    post.outbox.cancel(post.submit(2).id)
    post.claim()
    post.outbox.release(made.id, MINE)
    post.outbox.retry(made.id)
    post.claim()
    post.outbox.filed(made.id, MINE)
    post.outbox.learn_filing(ACCOUNT, Filing.OURS)
    post.outbox.suspend(ACCOUNT)
    post.outbox.resume(ACCOUNT)
    assert len(asked) == 14
    assert all(durable for _, durable in asked)
