"""A session of ours on one end of a socketpair, and on the other whatever a test wants it to meet.

Room: tests/wire. `session_to` takes over a socket that greets PREAUTH; `Scripted` answers each command by a function.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from provider.cancel import Stop
from provider.channel import Channel
from provider.limits import Limits
from provider.sources.base import Notice
from provider.sources.imap.source import ImapSession, session_on

__all__ = ["HANG_GUARD_SECONDS", "Ear", "Reply", "Scripted", "scripted_session", "session_to"]

HANG_GUARD_SECONDS = 5.0
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")
Reply = Callable[[bytes, bytes], "bytes | None"]
"""(tag, the rest of the command line without CRLF) to octets; None closes the connection."""


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.octets = 0
        self.notices: list[Notice] = []
        self.waited = 0

    def received(self, octets: int) -> None:
        self.octets += octets

    def waiting(self, seconds: float) -> None:
        self.waited += 1

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.notices]


def session_to(
    sock: socket.socket,
    *,
    limits: Limits | None = None,
    capabilities: frozenset[str] | None = None,
    ear: Ear | None = None,
    stop: Stop | None = None,
) -> ImapSession:
    """Read the greeting from *sock* and return a session on it, which asks for capabilities unless they are given."""
    limits, ear = limits or Limits(), ear or Ear()
    channel = Channel(sock, stop=stop or Stop(), listener=ear, limits=limits)
    channel.deadline(HANG_GUARD_SECONDS)
    channel.readline()
    return session_on(channel, capabilities, limits=limits, listener=ear)


class Scripted:
    """A server that greets PREAUTH and answers by *reply*. It records every octet of the client."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.sock, self._ours = socket.socketpair()
        self.octets = bytearray()
        self.hang_up_after: Callable[[bytes], bool] = lambda rest: False
        """Tells by the command whether the connection ends right behind its answer."""
        self.asked: Callable[[bytes, bytes], bytes] = lambda tag, rest: b"+ go on\r\n"
        """What it says when the client waits before a literal: ``+`` and it is read, anything else and it is not."""
        self.commands: list[bytes] = []
        """Commands as sent with their literals, tag and CRLF cut off."""
        self._thread = threading.Thread(target=self._serve, name="scripted", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._ours, self._ours.makefile("rb") as stream, contextlib.suppress(OSError):
            self._ours.sendall(b"* PREAUTH ready\r\n")
            for line in stream:
                self.octets += line
                if (whole := self._whole(line, stream)) is None:
                    continue
                tag, _, rest = whole.rstrip(b"\r\n").partition(b" ")
                self.commands.append(rest)
                octets = self._reply(tag, rest)
                if octets is None:
                    return
                self._ours.sendall(octets)
                if self.hang_up_after(rest):
                    return

    def _whole(self, line: bytes, stream: BinaryIO) -> bytes | None:
        """Return a command with its literals, None when it was answered before its end."""
        last = line
        while match := _LITERAL.search(last):
            if not match[2]:
                tag, _, rest = line.partition(b" ")
                said = self.asked(tag, rest)
                self._ours.sendall(said)
                if not said.startswith(b"+"):
                    return None
            literal = stream.read(int(match[1]))
            last = stream.readline()
            self.octets += literal + last
            line += literal + last
        return line

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the client may have ended it already
            self._ours.shutdown(socket.SHUT_RDWR)
        self._thread.join(HANG_GUARD_SECONDS)
        assert not self._thread.is_alive(), "the scripted server hangs"


@contextlib.contextmanager
def scripted_session(
    reply: Reply,
    *,
    capabilities: str = "IMAP4REV1",
    limits: Limits | None = None,
    ear: Ear | None = None,
) -> Iterator[tuple[ImapSession, Scripted]]:
    """Give a session and the scripted server that it talks to; both are closed at the end."""
    server = Scripted(reply)
    session = session_to(server.sock, limits=limits, capabilities=frozenset(capabilities.split()), ear=ear)
    try:
        yield session, server
    finally:
        session.close()
        server.close()
