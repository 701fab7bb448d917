"""One look at the account: what is asked, in how many flights, and what becomes of each folder."""

from __future__ import annotations

import pytest

from provider.sources.base import FolderListing, RemoteFolder
from store.mail import Role
from tests.servers.fake_answer import Answer, refuse
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, FakeImap
from tests.wire.canned import canned, ok
from tests.wire.rig import scripted_session, session_to


def listed(fake: FakeImap) -> FolderListing:
    session = session_to(fake.connect())
    listing = session.folders()
    session.close()
    return listing


def by_name(listing: FolderListing) -> dict[bytes, RemoteFolder]:
    return {folder.name: folder for folder in listing.folders}


def test_a_good_server_is_asked_everything_at_once() -> None:
    with FakeImap(preauth=True) as fake:
        fake.add_folder("work", special_use=b"\\Archive")
        session = session_to(fake.connect(), capabilities=frozenset(word.upper() for word in fake.capabilities))
        listing = session.folders()
        assert fake.command_names() == ["ENABLE", "ID", "NAMESPACE", "LIST"]
        session.folders()
        assert fake.command_names()[4:] == ["LIST"], "what was said once is not said again"
        session.close()
    work = by_name(listing)[b"work"]
    assert (work.role, work.delimiter, work.subscribed, work.selectable) == (Role.ARCHIVE, "/", True, True)
    assert work.object_id == fake.folder("work").mailbox_id.decode()
    assert work.status is not None and work.status.mod_seq == 1 and work.status.uid_next == 1
    assert listing.complete


@pytest.mark.parametrize("capabilities", [FULL, FULL - {"LIST-STATUS"}], ids=["list-status", "status"])
def test_the_object_id_of_a_folder_that_is_known_is_not_asked_again(capabilities: frozenset[str]) -> None:
    with FakeImap(preauth=True, capabilities=capabilities) as fake:
        for name in ("known", "renumbered", "new"):
            fake.add_folder(name)
        session = session_to(fake.connect(), capabilities=frozenset(word.upper() for word in capabilities))
        epochs = {
            folder.name: folder.status.uid_validity for folder in session.folders().folders if folder.status is not None
        }
        known = {name: epoch for name, epoch in epochs.items() if epoch is not None and name != b"new"}
        fake.reset_uid_validity("renumbered")
        fake.commands.clear()
        told = by_name(session.folders(known))
        asked = [command.arguments[0] for command in fake.commands if b"MAILBOXID" in command.raw]
        session.close()
    assert asked == [b"renumbered", b"new"]
    assert told[b"known"].object_id is None and told[b"known"].status is not None
    for name in ("renumbered", "new"):
        assert told[name.encode()].object_id == fake.folder(name).mailbox_id.decode()
        assert told[name.encode()].status is not None


def test_capabilities_told_before_the_login_are_asked_for_again() -> None:
    with FakeImap(preauth=True) as fake:
        listed(fake)
        assert fake.command_names()[0] == "CAPABILITY"


def test_imap4rev2_alone_contains_what_used_to_be_extensions() -> None:
    names = ok(b'* LIST () "/" INBOX\r\n* STATUS INBOX (MESSAGES 3)\r\n')
    with scripted_session(canned({"LIST": names}), capabilities="IMAP4REV2") as (session, server):
        assert session.folders().folders[0].status is not None
    assert server.commands[:-1] == [
        b"NAMESPACE",
        b'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY))',
    ]


def test_we_tell_our_name_and_version_and_nothing_else() -> None:
    with FakeImap(preauth=True) as fake:
        listed(fake)
        [told] = [command.arguments[0] for command in fake.commands if command.name == "ID"]
    assert isinstance(told, list) and told[0::2] == [b"name", b"version"] and told[1] == b"maildock"


@pytest.mark.parametrize("announced", [FULL - {"LIST-STATUS"}, NO_CONDSTORE - {"LIST-STATUS"}, BARE])
def test_without_list_status_each_folder_is_asked_in_one_pipeline(announced: frozenset[str]) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        for number in range(300):
            fake.add_folder(f"folder {number}")
        fake.append("folder 7", b"Subject: x\r\n\r\n")
        listing = listed(fake)
    told = by_name(listing)
    assert len(told) == 301 and all(folder.status is not None for folder in told.values())
    assert told[b"folder 7"].status is not None and told[b"folder 7"].status.messages == 1
    assert (told[b"INBOX"].status.mod_seq is None) == ("CONDSTORE" not in announced)  # type: ignore[union-attr]


def test_edge_23_one_folder_without_status_costs_only_its_own() -> None:
    with FakeImap(capabilities=BARE, preauth=True) as fake:
        fake.add_folder("bad")
        fake.add_folder("empty")
        fake.faults.on("STATUS", refuse(b"bad"))
        fake.faults.on("STATUS", _empty_status)
        told = by_name(listed(fake))
    assert told[b"bad"].status is None and told[b"bad"].selectable
    assert told[b"empty"].status is None
    assert told[b"INBOX"].status is not None


def _empty_status(answer: Answer) -> None:
    if answer.command.arguments[0] == b"empty":
        answer.rows[:] = [b"* STATUS empty ()"]


def test_the_open_folder_is_left_before_the_account_is_listed() -> None:
    with FakeImap(preauth=True) as fake:
        session = session_to(fake.connect())
        session.open(b"INBOX", None)
        fake.append("INBOX", b"Subject: x\r\n\r\n")
        told = by_name(session.folders())
        names = fake.command_names()
        assert names.index("UNSELECT") == names.index("LIST") - 1
        assert told[b"INBOX"].status is not None and told[b"INBOX"].status.messages == 1
        session.close()


def test_edge_9_utf8_accept_is_never_enabled() -> None:
    with FakeImap(capabilities=FULL | {"UTF8=ACCEPT"}, preauth=True) as fake:
        listed(fake)
        [enable] = [command for command in fake.commands if command.name == "ENABLE"]
    assert enable.arguments == (b"QRESYNC",)


@pytest.mark.parametrize("delimiter", [b"/", b".", b"\\", b"\x01", None])
def test_edge_31_names_come_and_go_unchanged(delimiter: bytes | None) -> None:
    odd = [
        "A & B",
        'say "hi"',
        "back\\slash",
        "a/b" if delimiter != b"/" else "a.b",
        " blanks ",
        "Entwürfe",
        "日本語",
        "NIL",
    ]
    with FakeImap(delimiter=delimiter, preauth=True) as fake:
        wires = {
            fake.add_folder(name).wire_name: name for name in odd if delimiter is None or delimiter.decode() not in name
        }
        listing = by_name(listed(fake))
        session = session_to(fake.connect())
        for wire, name in wires.items():
            assert listing[wire].path.names == (name,)
            assert session.open(wire, None).messages == 0
        session.close()
    assert listing[b"INBOX"].delimiter == (None if delimiter is None else delimiter.decode())


def test_edge_36_five_thousand_folders_are_listed() -> None:
    names = [b"f%04d" % number for number in range(5_000)]
    rows = b"".join(b'* LIST () "/" %b\r\n* STATUS %b (MESSAGES 1)\r\n' % (name, name) for name in names)
    words = "IMAP4REV1 LIST-EXTENDED LIST-STATUS"
    with scripted_session(canned({"LIST": ok(rows)}), capabilities=words) as (session, server):
        listing = session.folders()
    assert [folder.name for folder in listing.folders] == names
    assert all(folder.status is not None for folder in listing.folders)
    assert len(server.commands) == 2, "LIST and LOGOUT"


ROLES = ok(
    b'* LIST (\\HasNoChildren) "." INBOX\r\n'
    b'* LIST () "." INBOX.Sent\r\n'
    b'* LIST () "." "INBOX.Gesendete Elemente"\r\n'
    b'* LIST (\\Drafts) "." INBOX.Unfinished\r\n'
    b'* LIST () "." INBOX.Drafts\r\n'
    b'* LIST (\\Noselect) "." INBOX.Archive\r\n'
    b'* LIST () "." INBOX.work.Trash\r\n'
    b'* LIST () "." Papierkorb\r\n'
    b'* LIST () "." shared.Spam\r\n'
    b'* LIST () "." "INBOX.&U0NXPpCuTvY-"\r\n'
)


def test_roles_are_guessed_by_name_only_at_the_top_of_ones_own_mail_and_once() -> None:
    spaces = ok(b'* NAMESPACE (("INBOX." ".")) NIL (("shared." "."))\r\n')
    book = {"LIST": ROLES, "NAMESPACE": spaces, "STATUS": ok(b"")}
    with scripted_session(canned(book), capabilities="IMAP4REV1 NAMESPACE SPECIAL-USE") as (session, _):
        roles = {folder.name: folder.role for folder in session.folders().folders if folder.role}
    sent = {name for name, role in roles.items() if role is Role.SENT}
    assert len(sent) == 1 and sent < {b"INBOX.Sent", b"INBOX.Gesendete Elemente"}
    assert roles[b"INBOX"] is Role.INBOX and roles[b"INBOX.Unfinished"] is Role.DRAFTS
    assert roles[b"Papierkorb"] is Role.TRASH
    assert b"INBOX.Drafts" not in roles, "an attribute of another folder claims the role"
    assert not {b"INBOX.Archive", b"INBOX.work.Trash", b"shared.Spam"} & set(roles)


def test_namespace_that_makes_no_sense_is_not_believed() -> None:
    book = {"LIST": ROLES, "NAMESPACE": ok(b"* NAMESPACE NIL (((NIL))) x\r\n"), "STATUS": ok(b"")}
    with scripted_session(canned(book), capabilities="IMAP4REV1 NAMESPACE") as (session, _):
        assert len(session.folders().folders) == 10


def test_other_people_s_folders_are_listed() -> None:
    with scripted_session(canned({"LIST": ROLES, "STATUS": ok(b"")})) as (session, _):
        assert b"shared.Spam" in by_name(session.folders())
