"""One message that breaks every connection on which it comes: it is found and set aside, and all others come (D9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provider import ErrorKind, FolderPolicy, Keep
from provider.limits import Limits
from store import BodyState, MailStore

from ..servers.fake_answer import Answer, Then
from ..servers.fakeimap import BARE, FULL, FakeImap
from .edge import letter
from .rig import account_at, mail_of, run_to_the_end

COUNT = 400
QUICK = Limits(reconnect_seconds=0.001)


def dies_at(uid: int, asks: bytes) -> Callable[[Answer], None]:
    """The server tells truly what lies below *uid*, and then its process is gone."""

    def hook(answer: Answer) -> None:
        if asks not in answer.command.raw:
            return
        at = next((at for at, row in enumerate(answer.rows) if b"(UID %d " % uid in row), None)
        if at is not None:
            answer.rows[at:] = []
            answer.completion, answer.then = None, Then.CLOSE

    return hook


@pytest.mark.parametrize("capabilities", [FULL, BARE], ids=["full", "bare"])
@pytest.mark.parametrize("uid", [1, 57, 250, COUNT])
@pytest.mark.parametrize(
    ("asks", "keep"),
    [(b"BODY.PEEK[])", Keep.FULL), (b"BODY.PEEK[HEADER]", Keep.HEADERS), (b"BODY.PEEK[", Keep.FULL)],
    ids=["octets", "header", "either"],
)
def test_d9_a_message_at_which_the_server_dies_is_set_aside_in_one_run(
    uid: int, asks: bytes, keep: Keep, capabilities: frozenset[str], mail_store: MailStore
) -> None:
    with FakeImap(capabilities=capabilities) as fake:
        for number in range(1, COUNT + 1):
            fake.append("INBOX", letter(number, "INBOX", octets=60))
        fake.faults.on("UID FETCH", dies_at(uid, asks))
        account = account_at(fake.port, fake.user, fake.password, limits=QUICK, policy=FolderPolicy(keep=keep))

        result, host = run_to_the_end(mail_store, account)

        assert result.ok, [error.text for error in host.errors]
        assert fake.connections <= 7
    told = [error for error in host.errors if error.kind is not ErrorKind.CONNECTION_LOST]
    assert {(error.kind, error.uid) for error in told} == {(ErrorKind.MESSAGE_QUARANTINED, uid)}
    wanted = BodyState.FULL if keep is Keep.FULL else BodyState.HEADERS
    here = {int(message.uid) for message in mail_of(mail_store, "INBOX") if message.body is wanted}
    assert here | {uid} == set(range(1, COUNT + 1))
    with mail_store.read() as view:
        assert [(int(trouble.uid), trouble.kind) for trouble in view.troubles()] == [(uid, "poison")]
