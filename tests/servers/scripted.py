"""`ScriptedServer`: plays a transcript, asserts the octets that the client sends, answers with whatever octets.

Room: tests/servers. A transcript (`fixtures/wire/imap/<server>/*.txt`) is read line by line:

    # remark                      skipped, as are empty lines
    S: * OK ready                 the server says this line; CRLF is added
    S- * OK re                    the same without CRLF
    S<<5                          the server says the next 5 octets of the file, as they are (a newline follows them)
    C: {a} LOGIN {*}              the client must say this line; CRLF is asked for
    C<<5                          the client must say the next 5 octets of the file
    S: {a} OK done                {a} is what {a} matched in an earlier C line
    @drip                         from here on the server sends octet by octet; @whole ends it
    @starttls                     TLS handshake (the server has a context)
    @close @reset @half-close     the server ends the connection; half-close ends its own direction only
    @silence                      the server says nothing more and reads until the client leaves

A name in braces matches one word (no space) the first time and that same word later; `{*}` matches the rest of the
line, `{}` one word that is not kept. Names begin with a letter, so that literals (`{12}`) stay literals. `\\x00` is the
octet 0 (two hexadecimal digits). Each connection plays the next script. No regular expressions in transcripts.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType

__all__ = ["Act", "Expect", "Reply", "Say", "ScriptError", "ScriptedServer", "load", "replies"]

HANG_GUARD_SECONDS = 5.0
_PLACE = re.compile(rb"\{([A-Za-z][A-Za-z0-9]*|\*|)\}")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_COUNTED = re.compile(rb"([SC])<<(\d+)\Z")


class ScriptError(AssertionError):
    """The client did not keep to the script; the text names the line, what was expected and what came."""


class Act(Enum):
    """A step that is no octets."""

    DRIP = "@drip"
    WHOLE = "@whole"
    STARTTLS = "@starttls"
    CLOSE = "@close"
    RESET = "@reset"
    HALF_CLOSE = "@half-close"
    SILENCE = "@silence"


@dataclass(frozen=True, slots=True)
class Say:
    """The server sends *octets*; with *places* the names in braces are filled in."""

    octets: bytes
    places: bool = True


@dataclass(frozen=True, slots=True)
class Expect:
    """The client must send *octets* next: a line with CRLF and places in it, or exact octets (*places* False)."""

    octets: bytes
    places: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """From here on *answer* gets each line of the client (without CRLF) and returns what the server says to it.

    None ends the connection. It is a function of the line alone or a closure with a memory of its own.
    """

    answer: Callable[[bytes], bytes | None]


Step = Say | Expect | Reply | Act


def load(path: Path) -> list[Step]:
    """Return the steps of a transcript file; raises `ValueError` with the line number for a line it cannot read."""
    steps: list[Step] = []
    text, position, number = path.read_bytes(), 0, 0
    while position < len(text):
        line, _, _ = text[position:].partition(b"\n")
        position += len(line) + 1
        number += 1
        if not line.strip() or line.startswith(b"#"):
            continue
        if counted := _COUNTED.match(line):
            octets = text[position : position + int(counted[2])]
            position += len(octets) + 1
            number += octets.count(b"\n") + 1
            steps.append((Say if counted[1] == b"S" else Expect)(octets, places=False))
        elif line.startswith(b"@"):
            steps.append(Act(line.decode("ascii").strip()))
        elif line[:3] in (b"S: ", b"S- ", b"C: ") or line in (b"S:", b"C:"):
            octets = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), line[3:])
            ending = b"" if line[:2] == b"S-" else b"\r\n"
            steps.append((Expect if line[:1] == b"C" else Say)(octets + ending))
        else:
            raise ValueError(f"{path.name}, line {number}: neither S, C nor @: {line!r}")
    return steps


def replies(greeting: bytes, answer: Callable[[bytes], bytes | None]) -> list[Step]:
    """Return a script that greets and then answers each line by a function."""
    return [Say(greeting, places=False), Reply(answer)]


class ScriptedServer:
    """Plays one script a connection, on a free loopback port or on a socketpair (`connect()`).

    `stop()`, and so the end of a `with`, raises `ScriptError` when a client broke the script or left it unfinished.
    """

    def __init__(self, *scripts: Sequence[Step], tls_context: ssl.SSLContext | None = None) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.client_octets: list[bytes] = []
        """What each connection's client said, decrypted, in order of connection."""
        self.names: dict[bytes, bytes] = {}
        """What the names in braces stand for, over all connections."""
        self._scripts = list(scripts)
        self._tls_context = tls_context
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._players: list[_Player] = []

    def start(self) -> ScriptedServer:
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._spawn(lambda: self._accept_all(self._listener))  # type: ignore[arg-type]
        return self

    def connect(self) -> socket.socket:
        """Return the client's end of a socketpair whose other end plays the next script."""
        ours, theirs = socket.socketpair()
        self._play(theirs)
        return ours

    def stop(self, *, judge: bool = True) -> None:
        """End all connections; with *judge* let the scripts come to their end first, then raise what went wrong.

        The client should have left by then: a script that still waits for it is waited for as long as the guard.
        """
        if self._listener is not None:
            with contextlib.suppress(OSError):  # shutdown wakes accept(); macOS refuses it on a listener
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        if judge:
            for thread in self._threads:
                thread.join(HANG_GUARD_SECONDS)
        for player in self._players:
            player.finish()
        for thread in self._threads:
            thread.join(HANG_GUARD_SECONDS)
        if judge:
            for player in self._players:
                if player.failure is not None:
                    raise player.failure
            if self._scripts:
                raise ScriptError(f"{len(self._scripts)} more connections were expected")

    def __enter__(self) -> ScriptedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A test that fails for its own reason keeps that reason.
        self.stop(judge=kind is None)

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # stop() closed the listener
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._play(sock)

    def _play(self, sock: socket.socket) -> None:
        if not self._scripts:
            sock.close()  # one connection more than there are scripts: the client sees it closed
            return
        player = _Player(self, sock, self._scripts.pop(0), self._tls_context)
        self._players.append(player)
        self.client_octets.append(b"")
        self._spawn(player.run)

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"scripted-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()


class _Player:
    """One connection and its script."""

    def __init__(
        self, server: ScriptedServer, sock: socket.socket, script: Sequence[Step], context: ssl.SSLContext | None
    ) -> None:
        self.failure: Exception | None = None
        self._server, self._index = server, len(server.client_octets)
        self._sock, self._context = sock, context
        self._script = script
        self._drip = False
        self._stream = sock.makefile("rb")

    def run(self) -> None:
        number = 0
        try:
            for number, step in enumerate(self._script, 1):  # noqa: B007 (the number is for the message)
                self._step(step)
        except ScriptError as fault:
            self.failure = ScriptError(f"step {number} of the script: {fault}")
        except OSError as fault:
            self.failure = ScriptError(f"step {number} of the script: the connection ended: {fault}")
        except Exception as fault:
            self.failure = fault  # a fault of the test's own function: stop() raises it
        finally:
            self._stream.close()
            self._sock.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # the script is over and has closed it
            self._sock.shutdown(socket.SHUT_RDWR)

    def _step(self, step: Step) -> None:
        match step:
            case Say():
                self._send(self._filled(step.octets) if step.places else step.octets)
            case Expect(places=False):
                self._hear_exactly(step.octets)
            case Expect():
                self._hear_line(step.octets)
            case Reply():
                while (line := self._readline()) and (said := step.answer(line.rstrip(b"\r\n"))) is not None:
                    self._send(said)
            case Act():
                self._act(step)

    def _act(self, act: Act) -> None:
        match act:
            case Act.DRIP | Act.WHOLE:
                self._drip = act is Act.DRIP
            case Act.STARTTLS:
                if self._context is None:
                    raise ValueError("@starttls needs a tls_context")
                self._stream.close()
                self._sock = self._context.wrap_socket(self._sock, server_side=True)
                self._stream = self._sock.makefile("rb")
            case Act.CLOSE:
                self._sock.shutdown(socket.SHUT_RDWR)
            case Act.HALF_CLOSE:
                self._sock.shutdown(socket.SHUT_WR)
            case Act.RESET:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._stream.close()
                self._sock.close()
            case Act.SILENCE:
                with contextlib.suppress(ConnectionError):  # leaving by a reset is leaving, too
                    while octets := self._stream.read1(65536):
                        self._note(octets)

    def _send(self, octets: bytes) -> None:
        for start in range(0, len(octets), 1 if self._drip else max(1, len(octets))):
            self._sock.sendall(octets[start : start + 1] if self._drip else octets)

    def _note(self, octets: bytes) -> None:
        self._server.client_octets[self._index] += octets

    def _readline(self) -> bytes:
        line = self._stream.readline()
        self._note(line)
        return line

    def _hear_exactly(self, expected: bytes) -> None:
        octets = self._stream.read(len(expected))
        self._note(octets)
        if octets != expected:
            raise ScriptError(f"expected the octets {expected!r}, got {octets!r}")

    def _hear_line(self, expected: bytes) -> None:
        line = self._readline()
        names: list[bytes] = []
        pattern, end = b"", 0
        for place in _PLACE.finditer(expected):
            name, pattern = place[1], pattern + re.escape(expected[end : place.start()])
            end = place.end()
            if name == b"*":
                pattern += rb"[^\r\n]*"
            elif name in self._server.names:
                pattern += re.escape(self._server.names[name])
            else:
                names.append(name)
                pattern += rb"([^ \r\n]+)"
        match = re.fullmatch(pattern + re.escape(expected[end:]), line)
        if match is None:
            raise ScriptError(f"expected {self._filled(expected)!r}, got {line!r}")
        self._server.names.update((name, word) for name, word in zip(names, match.groups(), strict=True) if name != b"")

    def _filled(self, octets: bytes) -> bytes:
        return _PLACE.sub(lambda place: self._server.names.get(place[1], place[0]), octets)
