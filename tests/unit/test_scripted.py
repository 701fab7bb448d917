"""The scripted server keeps the client to its script, and says what the script says, octet by octet."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.servers.certs import CertificateShop
from tests.servers.scripted import Act, Expect, Reply, Say, ScriptedServer, ScriptError, load, replies

GUARD_SECONDS = 5.0


def written(directory: Path, text: bytes) -> Path:
    path = directory / "script.txt"
    path.write_bytes(text)
    return path


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(4096), b""))


def talk(server: ScriptedServer, *says: bytes) -> bytes:
    """Say one thing after the other without waiting, then read until the end."""
    with server.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        for octets in says:
            sock.sendall(octets)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


SCRIPT = rb"""# a remark

S: * OK hi
C: {a} LOGIN {user} {*}
S- * CAPA
S: BILITY X\x00\xff
S<<4
{a}

S: {a} OK [{user}]
C: {b} APPEND {4}
C<<6
a
b{c}
C: {a2}
@close
"""


def test_a_transcript_is_played_with_names_counted_octets_and_escapes(tmp_path: Path) -> None:
    with ScriptedServer(load(written(tmp_path, SCRIPT))) as server:
        heard = talk(server, b"T1 LOGIN me any thing\r\n", b"T2 APPEND {4}\r\n", b"a\nb{c}", b"x\r\n")
    assert heard == b"* OK hi\r\n* CAPABILITY X\0\xff\r\n{a}\nT1 OK [me]\r\n"
    assert server.names == {b"a": b"T1", b"user": b"me", b"b": b"T2", b"a2": b"x"}
    assert server.client_octets == [b"T1 LOGIN me any thing\r\nT2 APPEND {4}\r\na\nb{c}x\r\n"]


@pytest.mark.parametrize(
    ("says", "complaint"),
    [
        ([b"T1 LOGOUT\r\n"], "step 2 .*LOGIN.*LOGOUT"),
        ([b"T1 LOGIN me\r\n"], "step 2 "),
        ([b"T1 LOGIN me x\n"], "step 2 "),
        ([b"T1 LOGIN me x\r\n", b"T2 APPEND {4}\r\n", b"a\nb{d}"], "step 8 .*octets"),
        ([b"T1 LOGIN me x\r\n"], "step 7 .*got b''"),
        ([], "step 2 "),
    ],
)
def test_a_client_that_leaves_the_script_is_told_where(tmp_path: Path, says: list[bytes], complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint), ScriptedServer(load(written(tmp_path, SCRIPT))) as server:
        talk(server, *says)


def test_a_name_must_be_the_same_word_again() -> None:
    script = [Expect(b"{tag} ONE\r\n"), Expect(b"{tag} TWO\r\n")]
    with pytest.raises(ScriptError, match="step 2"), ScriptedServer(script) as server:
        talk(server, b"A ONE\r\n", b"B TWO\r\n")


def test_a_missing_connection_is_a_fault() -> None:
    with pytest.raises(ScriptError, match="1 more connection"), ScriptedServer([Say(b"one")], [Say(b"two")]) as server:
        assert talk(server) == b"one"


def test_each_connection_plays_the_next_script() -> None:
    with ScriptedServer([Say(b"one")], [Say(b"two")]) as server:
        assert [talk(server), talk(server)] == [b"one", b"two"]


def test_a_function_answers_each_line_until_it_says_nothing() -> None:
    def answer(line: bytes) -> bytes | None:
        return None if line == b"bye" else line.upper() + b"\r\n"

    with ScriptedServer(replies(b"hello\r\n", answer)) as server:
        assert talk(server, b"a\r\nb\r\nbye\r\nc\r\n") == b"hello\r\nA\r\nB\r\n"


def test_a_fault_of_the_answering_function_is_raised_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedServer([Reply(lambda line: b"%d" % (1 // 0))]) as server:
        talk(server, b"x\r\n")


def test_dripping_changes_no_octet_and_half_close_leaves_the_client_its_say() -> None:
    script = [Act.DRIP, Say(b"0123456789"), Act.WHOLE, Act.HALF_CLOSE, Expect(b"late\r\n")]
    with ScriptedServer(script) as server, server.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        assert read_all(sock) == b"0123456789"
        sock.sendall(b"late\r\n")


def test_a_reset_is_seen_as_one() -> None:
    with (
        ScriptedServer([Expect(b"x\r\n"), Act.RESET]) as server,
        socket.create_connection((server.host, server.port), GUARD_SECONDS) as sock,
    ):
        sock.sendall(b"x\r\nunread")
        with pytest.raises(ConnectionResetError):
            read_all(sock)


def test_silence_reads_until_the_client_leaves() -> None:
    with ScriptedServer([Say(b"hi"), Act.SILENCE]) as server, server.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        assert sock.recv(10) == b"hi"
        sock.sendall(b"anybody?")
    assert server.client_octets == [b"anybody?"]


def test_tls_starts_where_the_script_says(certs: CertificateShop) -> None:
    script = [Say(b"go\r\n"), Act.STARTTLS, Expect(b"secret\r\n"), Say(b"ok\r\n")]
    with (
        ScriptedServer(script, tls_context=certs.good().server_context()) as server,
        socket.create_connection((server.host, server.port), GUARD_SECONDS) as plain,
    ):
        assert plain.recv(10) == b"go\r\n"
        with certs.client_context().wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(b"secret\r\n")
            assert sock.recv(10) == b"ok\r\n"


@pytest.mark.parametrize("line", [b"X: what", b"S:no space", b"@dance"])
def test_a_line_that_is_none_is_refused_when_read(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 2|dance"):
        load(written(tmp_path, b"S: fine\n" + line + b"\n"))
