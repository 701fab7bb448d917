"""Exactly one copy in Sent, whoever puts it there; and where one in doubt is looked for before a second try (O3, O6).

The account's mail is on a server in memory, its way out on a real socket; time is turned by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provider import ItemKind, ItemStatus, MailStoreProvider, SentCopies, SyncRequest, SyncResult
from provider.testing import MemoryServer, RecordingCallback
from store.mail import Role
from store.mail.submission import Fate, Filing, Submission, SubmissionState
from tests.scenarios.post_rig import ANN, BOB, ME, House, house
from tests.servers.fakesmtp import Answer

HANG_SECONDS = 20.0
SENT = "Sent"


@dataclass(slots=True)
class Desk:
    """A person with an account on a server in memory and a way out."""

    post: House
    far: MemoryServer

    def submit(self, number: int = 1, **about: object) -> Submission:
        return self.post.submit(number, ANN, **about)

    def press(self, *, send: bool = True, receive: bool = True) -> SyncResult:
        """Press Send/Receive."""
        heard = RecordingCallback()
        with MailStoreProvider(self.post.store, [self.post.account], clock=self.post.clock) as provider:
            request = SyncRequest(callback=heard)
            result = provider.send_and_receive(request, send=send, receive=receive).wait(HANG_SECONDS)
            assert heard.wait_done(HANG_SECONDS)
        heard.grammar()
        return result

    def kept(self, made: Submission) -> bytes:
        """Return what went out."""
        return b"".join(self.post.store.outbox.octets(made.id))

    def file_there(self, octets: bytes, folder: str = SENT) -> None:
        """Be the provider that files what it has sent."""
        self.far.append(folder, octets, internal_date=self.post.clock.now())

    def copies(self) -> int:
        """Return how many messages are in Sent there."""
        return len(self.far.messages(SENT)) if SENT in map(str, self.far.paths) else 0

    def filing(self) -> Filing:
        return self.post.store.outbox.filing(self.post.account.id)

    def way_out(self, **changes: object) -> None:
        smtp = self.post.account.smtp
        assert smtp is not None
        self.post.account = replace(self.post.account, smtp=replace(smtp, **changes))  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    far = MemoryServer()
    far.add_folder(SENT, role=Role.SENT)
    with house(tmp_path) as post:
        post.account = replace(far.account(post.account.id), smtp=post.account.smtp)
        one = Desk(post, far)
        one.press()
        yield one


def test_a_copy_is_filed_once_and_is_the_very_octets_with_bcc(desk: Desk) -> None:
    head = f"From: {ME}\r\nTo: {ANN}\r\nBcc: secret@example.org\r\nSubject: s\r\n\r\nx\r\n"
    made = desk.post.store.outbox.submit(desk.post.account.id, head.encode())
    assert desk.press().ok
    assert desk.post.state(made) is SubmissionState.FILED
    (copy,) = desk.far.messages(SENT)
    assert copy.flags == {"\\Seen"}
    assert b"Bcc: secret@example.org\r\n" in copy.octets
    assert b"bcc" not in desk.post.server.delivered[0].octets.lower()
    assert desk.press().ok
    assert desk.copies() == 1


@pytest.mark.parametrize("rewritten", [False, True], ids=["octet for octet", "rewritten"])
def test_what_the_provider_filed_before_the_upload_stays_the_only_copy(desk: Desk, rewritten: bool) -> None:
    made = desk.submit()
    desk.press(receive=False)
    octets = desk.kept(made)
    desk.file_there(b"X-Filed: yes\r\n" + octets.replace(b"number 1", b"Number One") if rewritten else octets)
    assert desk.press().ok
    assert desk.press().ok
    assert desk.copies() == 1
    with desk.post.store.read() as view:
        folder = next(one for one in view.folders() if str(one.path) == SENT)
        assert len(view.messages(folder.id).messages) == 1
    if rewritten:
        assert desk.filing() is Filing.PROVIDER


def test_what_the_provider_files_later_is_noticed_and_ours_goes(desk: Desk) -> None:
    made = desk.submit()
    assert desk.press().ok
    assert desk.copies() == 1
    desk.file_there(b"X-Filed: yes\r\n" + desk.kept(made))
    assert desk.press().ok
    assert desk.press().ok
    assert [b"X-Filed" in one.octets for one in desk.far.messages(SENT)] == [True]
    assert desk.filing() is Filing.PROVIDER
    desk.submit(2)
    assert desk.press().ok
    assert desk.press().ok
    assert desk.copies() == 1, "who is known to file is not helped any more"


@pytest.mark.parametrize("mode", [SentCopies.PROVIDER, SentCopies.NONE])
def test_nothing_is_filed_where_the_account_says_so(desk: Desk, mode: SentCopies) -> None:
    desk.way_out(sent_copies=mode)
    made = desk.submit()
    assert desk.press().ok
    assert (desk.post.state(made), desk.copies()) == (SubmissionState.FILED, 0)


def test_where_the_account_says_that_we_file_nothing_is_learned(desk: Desk) -> None:
    desk.way_out(sent_copies=SentCopies.APPEND)
    made = desk.submit()
    assert desk.press().ok
    desk.file_there(desk.kept(made))
    assert desk.press().ok
    assert desk.filing() is Filing.UNKNOWN


def test_a_draft_that_was_sent_is_gone_there_too(desk: Desk) -> None:
    desk.far.add_folder("Drafts", role=Role.DRAFTS)
    desk.press()
    with desk.post.store.edit("draft") as edit:
        drafts = next(one for one in edit.view.folders() if one.role is Role.DRAFTS)
        key = edit.append(drafts.id, b"From: me@example.org\r\nTo: ann@example.org\r\n\r\nx\r\n", flags=["\\Draft"])
    desk.press()
    assert len(desk.far.messages("Drafts")) == 1
    desk.submit(1, draft=key)
    assert desk.press().ok
    assert (len(desk.far.messages("Drafts")), desk.copies()) == (0, 1)


def test_a_rejected_message_leaves_its_draft(desk: Desk) -> None:
    desk.far.add_folder("Drafts", role=Role.DRAFTS)
    desk.press()
    with desk.post.store.edit("draft") as edit:
        drafts = next(one for one in edit.view.folders() if one.role is Role.DRAFTS)
        key = edit.append(drafts.id, b"From: me@example.org\r\nTo: ann@example.org\r\n\r\nx\r\n", flags=["\\Draft"])
    desk.post.behave({"rcpt": b"550 5.1.1 nobody\r\n"})
    made = desk.submit(1, draft=key)
    desk.press()
    assert desk.post.state(made) is SubmissionState.REJECTED
    assert (len(desk.far.messages("Drafts")), desk.copies()) == (1, 0)


def test_a_copy_that_cannot_be_filed_waits_and_holds_up_nobody(tmp_path: Path) -> None:
    far = MemoryServer()
    far.add_folder(SENT, selectable=False)
    with house(tmp_path) as post:
        post.account = replace(far.account(post.account.id), smtp=post.account.smtp)
        desk = Desk(post, far)
        desk.press()
        made = [desk.submit(number) for number in range(3)]
        result = desk.press()
        assert not result.ok
        assert post.got(ANN) == 3
        assert {post.state(one) for one in made} == {SubmissionState.SENT}
        assert all(post.one(one).next_try for one in made)
        far.delete_folder(SENT)
        desk.press()
        post.wait(60)
        assert desk.press().ok
        assert {post.state(one) for one in made} == {SubmissionState.FILED}
        assert (post.got(ANN), desk.copies()) == (3, 3)


# -- in doubt -------------------------------------------------------------------------------------------------


def doubted(desk: Desk) -> Submission:
    """One whose final dot went out, was taken, and whose answer never came."""
    desk.post.behave({"dot": None}, delivers_what_it_cuts=True)
    made = desk.submit()
    desk.press(receive=False)
    assert desk.post.state(made) is SubmissionState.IN_DOUBT
    desk.post.behave()
    return made


def test_one_in_doubt_whose_copy_is_found_in_sent_is_not_sent_again(desk: Desk) -> None:
    made = doubted(desk)
    desk.file_there(b"X-Filed: yes\r\n" + desk.kept(made))
    desk.post.wait(1)
    desk.press()
    desk.post.wait(10)
    desk.press()
    now = desk.post.one(made)
    assert (now.state, now.recipients[0].fate) == (SubmissionState.FILED, Fate.ACCEPTED)
    assert (desk.post.got(ANN), desk.copies()) == (1, 1)


def test_one_in_doubt_is_sent_again_once_sent_was_looked_at_and_it_is_not_there(desk: Desk) -> None:
    made = doubted(desk)
    desk.post.wait(1)
    desk.press()
    assert (desk.post.state(made), desk.post.got(ANN)) == (SubmissionState.IN_DOUBT, 1), "not before ten minutes"
    desk.post.wait(10)
    desk.press()
    assert (desk.post.state(made), desk.post.got(ANN)) == (SubmissionState.FILED, 2)
    assert desk.copies() == 1
    assert desk.post.one(made).doubts == 1


def test_one_in_doubt_is_not_sent_again_before_sent_was_looked_at(desk: Desk) -> None:
    made = doubted(desk)
    for _ in range(5):
        desk.post.wait(30)
        desk.press(receive=False)
    now = desk.post.one(made)
    assert (now.state, desk.post.got(ANN)) == (SubmissionState.IN_DOUBT, 1)
    assert now.next_try is not None
    desk.press(send=False)
    desk.post.wait(2)
    desk.press(receive=False)
    assert (desk.post.state(made), desk.post.got(ANN)) == (SubmissionState.FILED, 2)


def of(address: str, answer: bytes) -> Answer:
    return lambda line: answer if address.encode() in line else b"250 2.1.5 ok\r\n"


def test_a_copy_in_sent_says_nothing_of_who_was_refused_for_now(desk: Desk) -> None:
    desk.post.behave({"rcpt": of(BOB, b"450 4.2.0 later\r\n"), "dot": None}, delivers_what_it_cuts=True)
    made = desk.post.submit(1, ANN, BOB)
    desk.press(receive=False)
    desk.post.behave()
    desk.file_there(b"X-Filed: yes\r\n" + desk.kept(made))
    for _ in range(4):
        desk.post.wait(40)
        desk.press()
    assert (desk.post.state(made), desk.post.got(ANN), desk.post.got(BOB)) == (SubmissionState.FILED, 1, 1)


def test_the_copy_of_an_earlier_try_proves_nothing_for_the_rest(desk: Desk) -> None:
    desk.post.behave({"rcpt": of(BOB, b"450 4.2.0 later\r\n")})
    made = desk.post.submit(1, ANN, BOB)
    desk.press(receive=False)
    desk.file_there(b"X-Filed: yes\r\n" + desk.kept(made))
    desk.post.behave({"dot": None})
    desk.post.wait(30)
    desk.press()
    assert desk.post.state(made) is SubmissionState.IN_DOUBT
    desk.post.behave()
    for _ in range(3):
        desk.post.wait(40)
        desk.press()
    assert (desk.post.got(ANN), desk.post.got(BOB)) == (1, 1)


def test_the_copy_of_another_submission_proves_nothing(desk: Desk) -> None:
    octets = f"From: {ME}\r\nTo: {ANN}\r\nMessage-ID: <one@example.org>\r\n\r\nx\r\n".encode()
    desk.post.store.outbox.submit(desk.post.account.id, octets)
    desk.press()
    desk.press()
    desk.post.behave({"dot": None})
    second = desk.post.store.outbox.submit(desk.post.account.id, octets, recipients=[BOB])
    desk.press()
    desk.post.behave()
    for _ in range(3):
        desk.post.wait(40)
        desk.press()
    assert (desk.post.state(second), desk.post.got(ANN), desk.post.got(BOB)) == (SubmissionState.FILED, 1, 1)


# -- what is learned, and what not ----------------------------------------------------------------------------


def test_two_submissions_with_one_message_id_teach_nothing(desk: Desk) -> None:
    for to in ("typo@example.org", ANN):
        octets = f"From: {ME}\r\nTo: {to}\r\nMessage-ID: <one@example.org>\r\n\r\nx\r\n".encode()
        desk.post.store.outbox.submit(desk.post.account.id, octets)
        assert desk.press().ok
    for _ in range(2):
        assert desk.press().ok
    assert (desk.filing(), desk.copies()) == (Filing.UNKNOWN, 2)


def test_the_very_same_message_sent_twice_keeps_a_copy_of_each(desk: Desk) -> None:
    octets = f"From: {ME}\r\nTo: {ANN}\r\nMessage-ID: <one@example.org>\r\n\r\nx\r\n".encode()
    for _ in range(2):
        desk.post.store.outbox.submit(desk.post.account.id, octets)
        assert desk.press().ok
    for _ in range(3):
        assert desk.press().ok
    assert (desk.filing(), desk.post.got(ANN), desk.copies()) == (Filing.UNKNOWN, 2, 2)


@pytest.mark.parametrize("trace", [b"Received: from list by us; x\r\n", b"List-Id: <all.example.org>\r\n"])
def test_what_a_list_or_a_rule_puts_into_sent_is_not_the_providers_copy(desk: Desk, trace: bytes) -> None:
    made = desk.submit()
    desk.press(receive=False)
    desk.file_there(trace + desk.kept(made))
    for _ in range(3):
        assert desk.press().ok
    assert (desk.filing(), desk.copies()) == (Filing.UNKNOWN, 2)


def test_what_was_learned_is_forgotten_when_the_provider_does_not_file_any_more(desk: Desk) -> None:
    made = desk.submit()
    desk.press()
    desk.file_there(b"X-Filed: yes\r\n" + desk.kept(made))
    desk.press()
    assert desk.filing() is Filing.PROVIDER
    desk.submit(2)
    desk.press()
    desk.post.wait(30)
    desk.press()
    assert desk.filing() is Filing.UNKNOWN
    desk.submit(3)
    for _ in range(2):
        desk.press()
    assert desk.copies() == 2


# -- two halves -----------------------------------------------------------------------------------------------


def test_mail_comes_although_none_goes_out(desk: Desk) -> None:
    desk.way_out(port=1)
    made = desk.submit()
    desk.far.append("INBOX", b"Subject: new\r\n\r\nx\r\n")
    result = desk.press()
    ends = {item.item: item.status for item in result.items if item.folder is None}
    assert ends == {ItemKind.OUTBOX: ItemStatus.DISCONNECTED, ItemKind.ACCOUNT: ItemStatus.SUCCEEDED}
    assert result.downloaded.new == 1
    assert desk.post.state(made) is SubmissionState.QUEUED


def test_mail_goes_out_although_none_comes(desk: Desk) -> None:
    made = desk.submit()
    desk.far.faults.refuse_login()
    result = desk.press()
    ends = {item.item: item.status for item in result.items if item.folder is None}
    assert ends[ItemKind.OUTBOX] is ItemStatus.SUCCEEDED
    assert ends[ItemKind.ACCOUNT] is not ItemStatus.SUCCEEDED
    assert (desk.post.state(made), desk.post.got(ANN)) == (SubmissionState.FILED, 1)


def test_a_synchronization_sends_nothing(desk: Desk) -> None:
    made = desk.submit()
    with MailStoreProvider(desk.post.store, [desk.post.account], clock=desk.post.clock) as provider:
        assert provider.SynchronizeInBackground(SyncRequest()).wait(HANG_SECONDS).ok
    assert (desk.post.state(made), desk.post.got(ANN)) == (SubmissionState.QUEUED, 0)


def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    made = desk.submit()
    with MailStoreProvider(desk.post.store, [desk.post.account], clock=desk.post.clock) as provider:
        assert provider.send_and_receive(SyncRequest(dry_run=True)).wait(HANG_SECONDS).ok
    assert desk.post.state(made) is SubmissionState.QUEUED
