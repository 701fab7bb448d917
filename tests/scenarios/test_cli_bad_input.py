"""Whatever is wrong outside: one sentence that says so, what helps, its exit code, no traceback, nothing lost."""

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode

from ..servers.certs import BadCertificate, CertificateShop
from ..servers.fakeimap import FakeImap
from .cli_rig import HANG_SECONDS, ROOT, Cli, message, spawned

LIMITS = "\n[accounts.work.limits]\nconnect_seconds = 1\ngreeting_seconds = 0.2\n"


@contextmanager
def speaking(greeting: bytes) -> Iterator[int]:
    """A port that says *greeting*, or nothing, to whoever comes, and holds the line."""
    held = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return  # the listener was shut down: the test is over
            held.append(line)
            line.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(HANG_SECONDS)
        for line in held:
            line.close()


def one_sentence(err: str, *words: str) -> None:
    """Check that *err* is short, and names what is wrong."""
    assert 0 < err.count("\n") <= 3, err
    assert all(word in err for word in words), err


def test_a_wrong_password_is_told_with_what_helps(maildock: Cli) -> None:
    maildock.password("wrong")

    told = maildock("sync")

    assert told.code == ExitCode.LOGIN
    one_sentence(told.err, "work", "maildock account set work")


def test_a_missing_password_is_told_before_any_server_sees_a_login(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILDOCK_TEST_PASSWORD")

    told = maildock("sync")

    assert told.code == ExitCode.LOGIN
    one_sentence(told.err, "MAILDOCK_TEST_PASSWORD", "--password-env")
    assert "LOGIN" not in fake_imap.command_names()
    assert "AUTHENTICATE" not in fake_imap.command_names()


def test_a_host_that_does_not_resolve_is_named(maildock: Cli) -> None:
    assert maildock("account", "set", "work", "--host", "nowhere.invalid", "--security", "tls").code == 0

    told = maildock("sync")

    assert told.code == ExitCode.UNREACHABLE
    one_sentence(told.err, "nowhere.invalid")


def test_a_port_that_refuses_is_told(maildock: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert maildock("account", "set", "work", "--port", port).code == 0

    told = maildock("sync")

    assert told.code == ExitCode.UNREACHABLE
    one_sentence(told.err, "refuses")


@pytest.mark.parametrize(
    ("greeting", "word"),
    [
        (b"", "nothing"),
        (b"220 mail.example.org ESMTP ready\r\n", "SMTP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "IMAP"),
    ],
    ids=["silent", "smtp", "http"],
)
def test_a_port_that_is_no_imap_server_is_told(maildock: Cli, greeting: bytes, word: str) -> None:
    with (maildock.home / "accounts.toml").open("a") as file:
        file.write(LIMITS)
    with speaking(greeting) as port:
        assert maildock("account", "set", "work", "--port", port).code == 0

        told = maildock("sync")

    assert told.code == ExitCode.UNREACHABLE
    one_sentence(told.err, word)


@pytest.mark.parametrize("kind", [BadCertificate.EXPIRED, BadCertificate.WRONG_NAME, BadCertificate.UNKNOWN_CA])
def test_a_certificate_that_deserves_no_trust_ends_before_the_login(
    maildock: Cli, certs: CertificateShop, kind: BadCertificate
) -> None:
    with FakeImap(tls_context=certs.bad(kind).server_context(), implicit_tls=True) as fake:
        maildock.add(fake.port, "--security", "tls", "--host", "localhost", "--ca-file", certs.authority, name="safe")

        told = maildock("sync", "safe")

        assert told.code == ExitCode.UNREACHABLE
        one_sentence(told.err, "certificate")
        assert fake.command_names() == []


def test_a_good_certificate_is_enough(maildock: Cli, certs: CertificateShop) -> None:
    with FakeImap(tls_context=certs.good().server_context(), implicit_tls=True) as fake:
        fake.append("INBOX", message(1))
        maildock.add(fake.port, "--security", "tls", "--host", "localhost", "--ca-file", certs.authority, name="safe")

        assert maildock("sync", "safe").code == 0


def test_plaintext_to_another_host_is_refused_before_any_connection(maildock: Cli) -> None:
    assert maildock("account", "set", "work", "--host", "mail.example.org").code == 0

    told = maildock("sync")

    assert told.code == ExitCode.UNREACHABLE
    one_sentence(told.err, "--plaintext-host")


def test_an_unknown_account_folder_or_message_is_named(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.append("INBOX", message(1))
    assert maildock("sync").code == 0

    for words, name in (
        (("sync", "wrok"), "'wrok'"),
        (("list", "Inbocks"), "'Inbocks'"),
        (("list", "INBOX", "--account", "wrok"), "'wrok'"),
        (("list", "--all", "--account", "wrok"), "'wrok'"),
        (("folders", "--account", "wrok"), "'wrok'"),
        (("show", "4711"), ""),
        (("show", "4711", "--raw", "--json"), ""),
    ):
        told = maildock(*words)
        assert (told.code, told.out) == (ExitCode.USAGE, ""), words
        one_sentence(told.err, name)


def test_an_unknown_folder_to_synchronize_is_named_and_ends_with_an_error(maildock: Cli) -> None:
    told = maildock("sync", "--folder", "Inbocks")

    assert told.code == ExitCode.USAGE
    one_sentence(told.err, "Inbocks")


@pytest.mark.parametrize("words", [("folders",), ("list", "--all"), ("show", "1"), ("check",)])
def test_where_there_is_no_store_yet_the_way_to_one_is_told(maildock: Cli, words: tuple[str, ...]) -> None:
    told = maildock(*words)

    assert told.code == ExitCode.STORE
    one_sentence(told.err, "maildock sync")
    assert not (maildock.home / "mail.db").exists()


@pytest.mark.parametrize("words", [("sync",), ("list", "--all"), ("status",), ("check",)])
def test_a_store_of_a_newer_schema_is_refused_and_not_touched(maildock: Cli, words: tuple[str, ...]) -> None:
    assert maildock("sync").code == 0
    path = maildock.home / "mail.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    before = path.read_bytes()

    told = maildock(*words)

    assert told.code == ExitCode.STORE
    one_sentence(told.err, "newer")
    assert path.read_bytes() == before


@pytest.mark.parametrize("words", [("sync",), ("list", "--all"), ("check",)])
def test_a_file_that_is_no_store_is_refused_and_not_touched(maildock: Cli, words: tuple[str, ...]) -> None:
    path = maildock.home / "mail.db"
    path.write_bytes(b"my novel, chapter one\n" * 1000)

    told = maildock(*words)

    assert told.code == ExitCode.STORE
    one_sentence(told.err, "mail.db")
    assert path.read_bytes() == b"my novel, chapter one\n" * 1000


def unprivileged(*command: str) -> list[str]:
    """Return *command* without the right to pass over file modes, where the tests run as root."""
    if os.geteuid() != 0:
        return [*command]
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "as root this test needs setpriv (util-linux)"
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]


def test_a_read_only_store_can_be_read_and_refuses_a_sync_with_a_sentence(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_imap.append("INBOX", message(1))
    assert maildock("sync").code == 0
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **rest: start(unprivileged(*words), **rest))
    for name in os.listdir(maildock.home):
        (maildock.home / name).chmod(0o400)
    maildock.home.chmod(0o500)
    try:
        listed = spawned(maildock.home, "list", "--all", "--json")
        out, err = listed.communicate(timeout=HANG_SECONDS)
        refused = spawned(maildock.home, "sync", password=fake_imap.password)
        _, told = refused.communicate(timeout=HANG_SECONDS)
    finally:
        maildock.home.chmod(0o700)

    assert (listed.returncode, err) == (0, "")
    assert "Message 1" in out
    assert refused.returncode == ExitCode.STORE
    one_sentence(told, "mail.db")


def limited(octets: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))

    return limit


def test_a_full_disk_is_told_and_nothing_is_lost(maildock: Cli, fake_imap: FakeImap) -> None:
    assert maildock("sync").code == 0
    room = limited((maildock.home / "mail.db").stat().st_size + 500_000)
    for number in range(1, 41):  # twice what the limit leaves, for the file as for its log
        fake_imap.append("INBOX", message(number, body=os.urandom(50_000).hex().encode() + b"\r\n"))
    # A file size limit is a full disk for one process: writes beyond it fail in the middle.
    process = spawned(maildock.home, "sync", password=fake_imap.password, preexec_fn=room)
    _, err = process.communicate(timeout=HANG_SECONDS)

    assert process.returncode == ExitCode.STORE
    assert "Traceback" not in err
    one_sentence(err, "work")
    assert maildock("check", "--full").code == 0
    assert maildock("sync").code == 0
    assert {row["body"] for row in maildock("list", "INBOX", "--limit", 0, "--json").rows} == {"full"}
    assert maildock("check", "--full").code == 0


def test_a_path_that_is_no_mailbox_is_told(maildock: Cli, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("Chapter one\n")
    (tmp_path / "empty").mkdir()

    for name, word in (("novel.txt", "no mailbox"), ("empty", "no mailbox"), ("nowhere", "There is no")):
        told = maildock("import-from", tmp_path / name)
        assert told.code == ExitCode.USAGE
        one_sentence(told.err, word, name)
    assert not (maildock.home / "mail.db").exists()


def test_a_damaged_store_is_found_and_told(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.append("INBOX", message(1, body=os.urandom(3_000).hex().encode()))
    assert maildock("sync").code == 0
    with sqlite3.connect(maildock.home / "mail.db") as database:
        database.execute("UPDATE messages SET header_id = NULL")
    database.close()

    checked = maildock("check")

    assert checked.code == ExitCode.STORE
    assert checked.out
    assert "maildock sync --full" in checked.err


def test_a_command_line_without_its_extra_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('gone', name='typer')")
    bare = subprocess.run(
        [sys.executable, "-m", "provider.cli", "status"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )

    told = "maildock: the command line needs its extra: pip install 'maildock[cli]'\n"
    assert (bare.returncode, bare.stderr) == (ExitCode.USAGE, told)
