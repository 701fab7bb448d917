"""The session against pymap, the second dialect: no CONDSTORE, and mail with NUL and LF-only lines kept as it came."""

from __future__ import annotations

import hashlib

import pytest

from provider.account import Account, Password, Security
from provider.cancel import Stop
from provider.sources.base import BodyWanted, Exactness, Known
from provider.sources.imap.source import imap_source
from provider.sources.writing import FolderWrite, Mark, Transfer, Upload, WriteOpened, WritingSession
from store.mail import AccountId, FolderPath, UidSet
from tests.servers.plain_client import NewMessage
from tests.servers.pymap_server import PymapServer
from tests.wire.rig import Ear

pytestmark = pytest.mark.servers

MAIL = [
    b"Subject: one\r\nMessage-ID: <1@x.example>\r\n\r\nbody\r\n",
    b"Subject: LF only\n\nbody\n",
    b"Subject: nul\r\n\r\n\0\0body\r\n",
    b"Subject: long\r\n\r\n" + b"0123456789abcde\n" * 40_000,
]


def test_a_session_reads_what_an_independent_client_reads(pymap_server: PymapServer) -> None:
    with pymap_server.client() as client:
        client.populate("Käse & Co", [NewMessage(octets=octets, flags=("\\Seen",)) for octets in MAIL])
        truth = client.snapshot()
    account = Account(
        id=AccountId("a"),
        host=pymap_server.host,
        port=pymap_server.port,
        user=pymap_server.user,
        security=Security.NONE,
        credentials=Password(pymap_server.password),
    )
    session = imap_source(account).connect(Stop(), Ear())
    listing = session.folders()
    assert {folder.name for folder in listing.folders if folder.selectable} == set(truth)
    for name, folder in truth.items():
        opened = session.open(name, None)
        assert (opened.epoch, opened.messages) == (folder.uid_validity, len(folder.messages))
        rows = {row.uid: row for row in session.summaries(session.existing())}
        assert {uid: row.size for uid, row in rows.items()} == {uid: m.size for uid, m in folder.messages.items()}
        whole = {uid: hashlib.sha256() for uid in rows}
        for chunk in session.bodies([BodyWanted(uid=uid, size=row.size) for uid, row in rows.items()]):
            assert chunk.octets is not None
            whole[chunk.uid].update(chunk.octets)
        assert {uid: h.hexdigest() for uid, h in whole.items()} == {u: m.sha256 for u, m in folder.messages.items()}
        assert opened.epoch is not None
        known = Known(epoch=opened.epoch, mod_seq=opened.mod_seq, uids=session.existing())
        assert session.open(name, known).changes.exactness is Exactness.NONE
    session.close()


def test_a_session_changes_what_an_independent_client_sees(pymap_server: PymapServer) -> None:
    with pymap_server.client() as client:
        client.populate("Käse & Co", [NewMessage(octets=octets) for octets in MAIL])
    account = Account(
        id=AccountId("a"),
        host=pymap_server.host,
        port=pymap_server.port,
        user=pymap_server.user,
        security=Security.NONE,
        credentials=Password(pymap_server.password),
    )
    session = imap_source(account).connect(Stop(), Ear())
    assert isinstance(session, WritingSession)
    name = next(folder.name for folder in session.folders().folders if folder.path.names == ("Käse & Co",))
    epoch = session.open(name, None).epoch
    assert epoch is not None
    first, second, third, fourth = session.existing()
    target = session.create(FolderPath(("Brot",)), parent=None)
    write = FolderWrite(
        name=name,
        epoch=epoch,
        marks=(Mark(uids=UidSet([first]), add=frozenset({"\\Flagged"})),),
        transfers=(
            Transfer(uids=UidSet([first]), target=target),
            Transfer(uids=UidSet([second]), target=target, move=True),
        ),
        deletes=UidSet([third]),
    )
    events = list(session.write([write]))
    assert [event.error for event in events if not isinstance(event, WriteOpened)] == [None] * len(events[1:])
    octets = MAIL[0] * 20
    told = list(session.append(target, [Upload(octets=lambda: [octets], size=len(octets))] * 3))
    assert [one.error for one in told] == [None] * 3
    session.close()
    with pymap_server.client() as client:
        truth = client.snapshot()
    assert set(truth[name].messages) == {first, fourth}
    assert b"\\Flagged" in truth[name].messages[first].flags
    digests = sorted(message.sha256 for message in truth[target].messages.values())
    assert digests == sorted(hashlib.sha256(one).hexdigest() for one in (MAIL[0], MAIL[1], octets, octets, octets))
