"""Edge cases E26 to E36 of the catalogue, as whole synchronizations: copies, dates, names, and trees that move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provider import ErrorKind, FolderPolicy, SyncFlags, SyncRequest
from provider.testing import MemoryServer
from store import BodyState, FolderState, MailStore
from store.mail import Uid

from ..servers.fake_answer import Answer
from ..servers.fake_model import FakeFolder
from ..servers.fakeimap import BARE, FULL, NO_QRESYNC
from .edge import FOLDER, Edge, Scene, add, bend, drop, ends, fetch, honest, letter, opening, swap
from .rig import bodies_asked, folder_of, keys_of, mail_of, run_to_the_end

K = ErrorKind
NO_IDS = FULL - {"OBJECTID"}


def alike(scene: Scene) -> None:
    """Mails that share a Message-ID, have none, or one of 10 kB; all of one size and one second; then new numbers."""
    for one in (b"<same@x>", b"<same@x>", b"<%b@x>" % (b"m" * 10_000)):
        for _ in range(2):
            number = b"%03d" % scene.fake.folder(FOLDER).uid_next
            scene.fake.append(FOLDER, b"Message-ID: %b\r\nSubject: %b\r\n\r\nx" % (one, number))
    scene.fake.append(FOLDER, b"Subject: none 1\r\n\r\n")
    scene.fake.append(FOLDER, b"Subject: none 2\r\n\r\n")
    result, _ = scene.run()
    assert result.ok
    folder = scene.fake.folder(FOLDER)
    folder.messages = dict(reversed(folder.messages.items()))
    folder.renumber(1_900_000_000)


def same_mail_often(scene: Scene) -> None:
    for _ in range(5):
        scene.fake.append(FOLDER, letter(1_000))
    result, _ = scene.run()
    assert result.ok
    scene.fake.reset_uid_validity(FOLDER)


def no_new_bodies(scene: Scene) -> None:
    honest(scene)
    assert len(keys_of(scene.store, FOLDER)) == len(scene.fake.folder(FOLDER).messages)


def in_each_folder(scene: Scene) -> None:
    for folder in ("INBOX", FOLDER, "Sent"):
        scene.fake.append(folder, letter(5_000, octets=90_000))


def stored_once(scene: Scene) -> None:
    honest(scene)
    keys = [mail_of(scene.store, folder)[-1].key for folder in ("INBOX", FOLDER, "Sent")]
    with scene.store.read() as view:
        assert len({view.raw(key) for key in keys}) == 1
        identities = [view.identities(folder_of(scene.store, f).id)[-1] for f in ("INBOX", FOLDER, "Sent")]
    assert len({one.blob_id for one in identities}) == 1


def eight_bit(scene: Scene) -> None:
    for head in (
        b"Subject: K\xe4se\xff",
        b"Subject: =?nope?Q?=ZZ?= =?utf-8?B?!!!?=",
        "Subject: \u202egnp.exe".encode(),
        b"From: \xff\xfe <\xe4@x>\r\nSubject:",
    ):
        scene.fake.append(FOLDER, head + b"\r\n\r\nbody \xe4\r\n")


def odd_dates(told: bytes) -> Callable[[Scene], None]:
    """A mailbox that keeps only recent mail; the server has no date, or an impossible one, for this message."""

    def lie(scene: Scene) -> None:
        scene.account = replace(scene.account, policy=FolderPolicy(age_days_max=30))
        fetch(swap(rb'(UID 13 .*INTERNALDATE) "[^"]*"', rb"\1 " + told))(scene)

    return lie


def undated_but_whole(scene: Scene) -> None:
    thirteenth = next(message for message in mail_of(scene.store, FOLDER) if message.uid == 13)
    assert thirteenth.internal_date is None
    assert thirteenth.body is BodyState.FULL, "a message without a date is never too old"
    with scene.store.read() as view:
        assert view.messages(folder_of(scene.store, FOLDER).id).messages[-1].uid == 13


def names(*wire: bytes) -> Callable[[Scene], None]:
    def lie(scene: Scene) -> None:
        for name in wire:
            scene.fake.add_folder(name)
            scene.fake.append(name, letter(1, name.hex()))

    return lie


def each_name_as_it_came(scene: Scene) -> None:
    with scene.store.read() as view:
        here = {
            folder.name: [view.raw(message.key) for message in view.messages(folder.id).messages]
            for folder in view.folders()
        }
    there = {
        name: [message.octets for message in folder.messages.values()]
        for name, folder in scene.fake.mailbox.folders.items()
    }
    assert {name: sorted(octets) for name, octets in here.items()} == {n: sorted(o) for n, o in there.items()}


def inbox_in_other_cases(scene: Scene) -> None:
    bend("LIST", add(b'* LIST () "/" iNbOx', b'* LIST () "/" inbox'), folder=None)(scene)


def moved_while_looking(scene: Scene) -> None:
    def hook(answer: Answer) -> None:
        if FOLDER.encode() in scene.fake.mailbox.folders:
            scene.fake.mailbox.rename_folder(FOLDER, "Moved")
        ends(b"NO [NONEXISTENT] Mailbox doesn't exist")(answer)

    opening(hook)(scene)


def recreated(scene: Scene) -> None:
    old = scene.fake.folder(FOLDER)
    scene.fake.delete_folder(FOLDER)
    new = scene.fake.add_folder(FOLDER)
    for message in reversed(old.messages.values()):
        new.append(message.octets, message.flags, message.internal_date)


def no_longer_selectable(scene: Scene) -> None:
    scene.fake.folder(FOLDER).selectable = False


def kept_as_a_name(scene: Scene) -> None:
    folder = folder_of(scene.store, FOLDER)
    assert (folder.selectable, folder.state, folder.counts.messages) == (False, FolderState.ACTIVE, 0)


def selectable_again(scene: Scene) -> None:
    scene.fake.folder(FOLDER).selectable = True


def rename(*pairs: tuple[str, str]) -> Callable[[Scene], None]:
    """Rename on the server, and insist that no body of known mail is asked for."""

    def lie(scene: Scene) -> None:
        for old, new in pairs:
            scene.fake.rename_folder(old, new)
        scene.fake.commands.clear()

    return lie


def only_the_stir_was_fetched(scene: Scene) -> None:
    asked = bodies_asked([command.raw.partition(b" ")[2].rstrip() for command in scene.fake.commands])
    assert {uid for uids in asked.values() for uid in uids} <= {13}, asked
    honest(scene)


def subtree(scene: Scene) -> None:
    for name in ("Tree", "Tree/a", "Tree/a/b"):
        scene.fake.add_folder(name)
        scene.fake.append(name, letter(13, name), uid=13)
    result, _ = scene.run()
    assert result.ok
    rename(("Tree", "Lists/Tree"))(scene)


def loop_of_aliases(scene: Scene) -> None:
    """Each level shows the same folder once more."""
    folder = scene.fake.folder(FOLDER)
    for depth in range(1, 100):
        wire = b"/".join([b"loop"] * depth)
        scene.fake.mailbox.folders[wire] = FakeFolder(
            wire_name=wire, uid_validity=folder.uid_validity, mailbox_id=folder.mailbox_id
        )


ROWS = [
    Edge(
        row="E26",
        title="one Message-ID on different mails, none, and one of 10 kB",
        outcome="K",
        lie=alike,
        kinds={K.UIDVALIDITY_CHANGED},
        also=honest,
        capabilities=NO_IDS,
    ),
    Edge(
        row="E27",
        title="the same mail five times in one folder, renumbered",
        outcome="K",
        lie=same_mail_often,
        kinds={K.UIDVALIDITY_CHANGED},
        also=no_new_bodies,
    ),
    Edge(row="E28", title="the same mail in three folders", outcome="K", lie=in_each_folder, also=stored_once),
    Edge(row="E29", title="8-bit headers, unknown charsets, broken words", outcome="K", lie=eight_bit, also=honest),
    *(
        Edge(
            row="E30 H61",
            title=f"INTERNALDATE {told.decode()}",
            outcome="K",
            lie=odd_dates(told),
            also=undated_but_whole,
            heals=False,
        )
        for told in (b'"31-Feb-2024 25:61:61 +9999"', b"NIL", b'"01-Jan-0000 00:00:00 +0000"')
    ),
    *(
        Edge(
            row="E31 H31",
            title=f"difficult names, delimiter {delimiter!r}",
            outcome="K",
            delimiter=delimiter,
            lie=names(b"a&-b", b'say "x"', b"back\\slash", b"sla/sh", b"do.t", b"per%cent", b"st*r", b"{3}", b"(x)"),
            also=honest,
        )
        for delimiter in (b".", b"/", b"\\", b"a", b"\x01", None)
    ),
    Edge(
        row="E32 H33 H34",
        title="raw 8-bit, bad modified UTF-7, NFC and NFD, a blank at the end",
        outcome="K",
        lie=names(
            b"\xff\xfe", b"K\xc3\xa4se", b"&AAAA", b"&Jjo!", b"&AOQ-", b"a&Awg-", b"blank ", b"blank", b"work", b"Work"
        ),
        also=each_name_as_it_came,
        heals=False,  # the independent client cannot say such names
    ),
    Edge(row="E32 H32", title="inbox in three cases", outcome="K", lie=inbox_in_other_cases, also=honest),
    Edge(
        row="E34 H39",
        title="a folder is renamed between its listing and its opening",
        outcome="F",
        lie=moved_while_looking,
        kinds={K.FOLDER_GONE},
    ),
    *(
        Edge(
            row="E34",
            title=f"a folder is deleted and made anew with its mail, {len(capabilities)} capabilities",
            outcome="K",
            capabilities=capabilities,
            lie=recreated,
            also=honest,
            kinds={K.UIDVALIDITY_CHANGED},
        )
        for capabilities in (FULL, NO_IDS)
    ),
    Edge(
        row="E34 H40",
        title="a folder cannot be opened any more, and later can",
        outcome="K",
        stirred=False,
        lie=no_longer_selectable,
        also=kept_as_a_name,
        heal=selectable_again,
    ),
    *(
        Edge(
            row="E35",
            title=f"{title}, {len(capabilities)} capabilities",
            outcome="K",
            capabilities=capabilities,
            # Without MAILBOXID a folder is known again by its numbers, which must not have changed meanwhile.
            stirred="OBJECTID" in capabilities,
            lie=lie,
            also=only_the_stir_was_fetched,
        )
        for capabilities in (FULL, NO_IDS, NO_QRESYNC, BARE)
        for title, lie in (
            ("only the case of a name changes", rename((FOLDER, "LISTS"))),
            ("two folders swap their names", rename((FOLDER, "x"), ("Sent", FOLDER), ("x", "Sent"))),
            ("a subtree moves", subtree),
        )
    ),
    *(
        Edge(
            row="E36",
            title=f"opening is refused: {code.decode()}",
            outcome="F",
            met=met,
            lie=opening(ends(b"NO " + code + b" Access denied")),
            kinds={kind},
        )
        for code, kind in (
            (b"[NOPERM]", K.FOLDER_UNUSABLE),
            (b"[CANNOT]", K.FOLDER_UNUSABLE),
            (b"[INUSE]", K.COMMAND_REFUSED),
            (b"[NONEXISTENT]", K.FOLDER_GONE),
        )
        for met in (False, True)
    ),
    Edge(row="E36", title="a loop of aliases", outcome="K", lie=loop_of_aliases, also=honest),
    Edge(
        row="H40",
        title="subscriptions to what does not exist, children that are not there",
        outcome="K",
        capabilities=BARE,
        lie=bend("LSUB", add(b'* LSUB () "/" ghost', b'* LSUB (\\HasChildren) "/" Lists'), folder=None),
        also=honest,
    ),
    Edge(
        row="H38",
        title="LIST is refused",
        outcome="N",
        lie=bend("LIST", ends(b"NO not now"), folder=None),
        kinds={K.INCOMPLETE_ANSWER},
    ),
    *(
        Edge(
            row="H40",
            title=f"{title} cannot be opened any more, says LIST: its disk is gone, not the mail",
            outcome="N",
            stirred=False,
            lie=bend("LIST", swap(rb"\* LIST \((.*" + name + rb")", rb"* LIST (\\Noselect \1"), folder=None),
            kinds={K.LISTING_SUSPICIOUS},
        )
        for title, name in (("INBOX", b"INBOX"), ("every folder", b""))
    ),
    *(
        Edge(
            row="H37",
            title=f"LIST {title}",
            outcome="N",
            lie=bend("LIST", hook, folder=None),
            kinds={K.LISTING_SUSPICIOUS},
        )
        for title, hook in (
            ("is empty, though there were folders", drop(b"LIST")),
            ("forgets INBOX", drop(b"INBOX")),
        )
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_edge_case_ends_as_stated(row: Edge, tmp_path: Path) -> None:
    row.play(tmp_path)


def test_e33_the_name_dialect_never_changes_since_utf8_is_never_enabled(tmp_path: Path) -> None:
    """UTF8=ACCEPT switches names to UTF-8 (RFC 6855 §3) only where a client enables it; we never do."""

    def no_utf8(scene: Scene) -> None:
        assert [command.raw for command in scene.fake.commands if b"UTF8" in command.raw.upper()] == []
        assert Uid(1) in {message.uid for message in mail_of(scene.store, "Käse")}

    Edge(
        row="E33",
        title="UTF8=ACCEPT is announced",
        outcome="K",
        capabilities=FULL | {"UTF8=ACCEPT"},
        lie=names(b"K&AOQ-se"),
        also=no_utf8,
    ).play(tmp_path)


def test_e36_a_tree_of_5000_folders_is_written_at_once_and_read_back(mail_store: MailStore) -> None:
    server = MemoryServer()
    for number in range(4_999):
        server.add_folder(f"Shared/{number % 50}/{number}")
    request = SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_HIERARCHY)
    commits = mail_store.commits
    result, _ = run_to_the_end(mail_store, server.account(), request)
    assert result.ok and result.downloaded.folders_new == 5_000
    assert mail_store.commits - commits < 10
    with mail_store.read() as view:
        assert {folder.path for folder in view.folders()} == set(server.paths)
