"""The benchmark's other pure parts: what is written for peers and documents, how a profile is read, what is listed."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from tests.bench.__main__ import END_MARK, MARK, documented
from tests.bench.line import line_to
from tests.bench.mailserver import Address, Mailbox
from tests.bench.peers import AS_INSTALLED, LIKE_FOR_LIKE, maildir_messages, mbsync_config, offlineimap_config
from tests.bench.profiling import Place, Profile, ProfileRow, as_shares, part_of, role_of
from tests.bench.reading import fill_store, listing_seconds
from tests.bench.serverwork import Work
from tests.bench.setting import QUICK, WHOLE, Scale, Setting
from tests.servers.fakeimap import FakeImap
from tests.servers.plain_client import PlainClient

ADDRESS = Address(host="127.0.0.1", port=1143, user="u", password="p")


def setting(tmp_path: Path, scale: Scale = WHOLE, peers: str = "usual") -> Setting:
    return Setting(directory=tmp_path, scale=scale, rounds=1, peers=peers, say=lambda text: None)


# -- documents ----------------------------------------------------------------------------------


def test_the_table_goes_between_the_marks_and_nothing_else_changes() -> None:
    once = documented(f"before\n\n{MARK}\n\nold\n{END_MARK}\n\nafter\n", "new\n")
    assert once == f"before\n\n{MARK}\n\nnew\n\n{END_MARK}\n\nafter\n"
    assert documented(once, "new\n") == once


def test_a_document_without_an_end_mark_gets_one() -> None:
    assert documented(f"before\n\n{MARK}\n\nold\n", "new\n") == f"before\n\n{MARK}\n\nnew\n\n{END_MARK}\n"


# -- peers --------------------------------------------------------------------------------------


def test_mbsync_is_set_up_in_sections_that_no_empty_line_cuts(tmp_path: Path) -> None:
    alone = mbsync_config(ADDRESS, LIKE_FOR_LIKE, tmp_path, all_folders=False)
    every = mbsync_config(ADDRESS, AS_INSTALLED, tmp_path, all_folders=True)
    first_words = {section.split(maxsplit=1)[0] for section in alone.strip().split("\n\n")}
    assert first_words == {"FSync", "IMAPAccount", "IMAPStore", "MaildirStore", "Channel"}
    assert ("DisableExtension COMPRESS=DEFLATE" in alone, "DisableExtension" in every) == (True, False)
    assert ("Patterns *" in alone, "Patterns *" in every) == (False, True)
    assert "Far :far:INBOX\n" in alone


@pytest.mark.parametrize("all_folders", [False, True])
def test_offlineimap_may_change_nothing_on_the_server(tmp_path: Path, all_folders: bool) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(offlineimap_config(ADDRESS, tmp_path, all_folders=all_folders))
    far = config["Repository far"]
    assert (far["remoteport"], far["readonly"]) == ("1143", "True")
    assert ("folderfilter" in far) is not all_folders


def test_messages_of_all_maildirs_are_counted_and_nothing_else(tmp_path: Path) -> None:
    for path in ("INBOX/cur/1", "INBOX/new/2", "INBOX/tmp/3", "Lists/topic/cur/4", "INBOX/.uidvalidity", "mbsyncrc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert maildir_messages(tmp_path) == 3


# -- settings -----------------------------------------------------------------------------------


def test_targets_of_whole_mailboxes_are_not_asked_of_small_ones(tmp_path: Path) -> None:
    assert setting(tmp_path).at_scale(0.25) == 0.25
    assert setting(tmp_path, QUICK).at_scale(0.25) is None


def test_a_peer_that_is_left_out_is_said_to_be(tmp_path: Path) -> None:
    without = setting(tmp_path, peers="none")
    assert without.no_mbsync == without.no_large_offlineimap == "left out by --peers=none"


def test_a_place_is_new_each_time_and_gone_afterwards(tmp_path: Path) -> None:
    made = setting(tmp_path)
    with made.place() as one, made.place() as other:
        assert one != other
        one.mkdir()
    assert not list(tmp_path.iterdir())


def test_work_says_what_it_is() -> None:
    work = Work(new=100, flagged=500, expunged=50)
    assert (str(work), work.more) == ("100 new, 500 flag changes, 50 expunged", 50)


# -- profile ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thread", "role"),
    [("maildock-encoder-1-12", "encoder"), ("maildock-account-3", "account"), ("MainThread", None)],
)
def test_a_thread_has_the_role_in_its_name(thread: str, role: str | None) -> None:
    assert role_of(thread) == role


@pytest.mark.parametrize(
    ("part", "frames"),
    [
        ("wire", [("/x/provider/sources/imap/channel.py", "count = self._sock.recv_into(buffer)")]),
        ("waiting", [("/x/provider/sources/imap/dial.py", "wait_ready(self._sock, how)")]),
        ("waiting", [("/x/provider/engine/pipe.py", "while (item := inbox.get()) is not None:")]),
        ("parse", [("/x/provider/sources/imap/wire.py", "usual = usual_row(line)")]),
        ("encode", [("/x/store/encode.py", "return self._compressor.compress(octets)")]),
        ("encode", [("/usr/lib/python3/re.py", "x"), ("/x/store/mime/header.py", ""), ("/x/store/transaction.py", "")]),
        ("SQLite", [("/x/store/sql/rows.py", "work.connection.executemany(ADD, rows)")]),
        ("engine", [("/x/provider/engine/bodies.py", "for row in rows:")]),
        ("events", [("/x/provider/report.py", "self._hub.put(event)")]),
        ("other", [("/usr/lib/python3/random.py", "return x")]),
    ],
)
def test_time_belongs_to_the_innermost_room_of_ours(part: str, frames: list[tuple[str, str]]) -> None:
    assert part_of([Place(file, "f", line) for file, line in frames]) == part


def test_shares_are_of_a_role_and_those_of_all_leave_waiting_out() -> None:
    rows = [
        ProfileRow("writer", "SQLite", 30, 1.5),
        ProfileRow("writer", "waiting", 70, 1.5),
        ProfileRow("encoder", "encode", 10, 0.5),
    ]
    assert as_shares(rows).splitlines() == [
        "| threads | waiting | encode | SQLite | processor |",
        "|---|---|---|---|---|",
        "| encoder | 0% | 100% | 0% | 0.50 s |",
        "| writer | 70% | 0% | 30% | 1.50 s |",
        "| all, without waiting | — | 25% | 75% | 2.00 s |",
    ]


def test_a_profile_of_nothing_is_empty() -> None:
    with Profile() as profile:
        pass
    assert profile.rows() == []


# -- reading and lines ----------------------------------------------------------------------------


def test_a_filled_store_lists_its_newest_messages(tmp_path: Path) -> None:
    fill_store(tmp_path / "mail.db", 120)
    assert len(listing_seconds(tmp_path / "mail.db", 2)) == 2


def test_a_line_tells_what_passed_since_it_was_asked(fake_imap: FakeImap) -> None:
    mailbox = Mailbox(account=fake_imap, messages=0, octets=0, load_seconds=0.0)  # type: ignore[arg-type]
    with line_to(mailbox, round_trip_seconds=0.0) as line:
        address = line.address
        for _ in range(2):
            client = PlainClient.login(
                host=address.host, port=address.port, user=address.user, password=address.password
            )
            client.close()
            passed = line.take()
            assert (passed.flights, passed.connections) == (3, 1)
            assert passed.down > 0
