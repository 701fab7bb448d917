"""A throw-away Dovecot with a corpus in it, and the fastest possible reader of it.

Room: tests/bench. Plain sockets: what fills the server and what drains it shall cost as little as can be, and shall not
be the product.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..servers.dovecot import Dovecot, DovecotAccount
from .corpus import CorpusMessage, corpus

__all__ = ["Mailbox", "drain", "mailbox"]

PASSWORD = "bench-password"
APPEND_OCTETS = 16_000_000
READ_OCTETS = 1 << 20
PATIENCE_SECONDS = 120.0

# Dovecot announces COMPRESS only with this plug-in; distributions' own configurations have it, and mbsync asks for it.
COMPRESS = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox on a running server. *octets* of all messages together; *load_seconds* is what filling it took."""

    account: DovecotAccount
    messages: int
    octets: int
    load_seconds: float


@contextmanager
def mailbox(messages: int, *, attachments: bool = True) -> Iterator[Mailbox]:
    """Start a Dovecot (mdbox, loopback) with *messages* of the corpus in INBOX; it ends with the context."""
    with Dovecot(extra=COMPRESS) as server:
        account = server.add_user("bench", PASSWORD)
        started = time.monotonic()
        octets = _fill(account, corpus(messages, attachments=attachments))
        seconds = time.monotonic() - started
        yield Mailbox(account=account, messages=messages, octets=octets, load_seconds=seconds)


def drain(account: DovecotAccount) -> int:
    """Read every message of INBOX and throw it away; return the octets received. The floor of every first run."""
    with _logged_in(account) as (sock, stream):
        _command(sock, stream, b"s EXAMINE INBOX\r\n", b"s ")
        sock.sendall(b"f UID FETCH 1:* BODY.PEEK[]\r\n")
        received, tail, buffer = 0, b"", bytearray(READ_OCTETS)
        while not _completed(tail):
            count = sock.recv_into(buffer)
            if not count:
                raise RuntimeError("Dovecot closed the connection in the middle of the drain")
            received += count
            tail = (tail + bytes(buffer[max(0, count - 200) : count]))[-200:]
        return received


def _completed(tail: bytes) -> bool:
    """Tell whether the stream ends in the tagged answer of the FETCH (no mail of the corpus ends like one)."""
    return tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\r\n")[2].startswith(b"f OK")


def _fill(account: DovecotAccount, messages: Iterable[CorpusMessage]) -> int:
    """Append *messages* to INBOX in large batches (MULTIAPPEND, RFC 3502; LITERAL+, RFC 7888)."""
    total = 0
    with _logged_in(account) as (sock, stream):
        batch = bytearray()
        for message in messages:
            date = message.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
            batch += f' ({" ".join(message.flags)}) "{date}" {{{len(message.octets)}+}}\r\n'.encode()
            batch += message.octets
            total += len(message.octets)
            if len(batch) > APPEND_OCTETS:
                _command(sock, stream, b"a APPEND INBOX" + batch + b"\r\n", b"a ")
                batch.clear()
        if batch:
            _command(sock, stream, b"a APPEND INBOX" + batch + b"\r\n", b"a ")
    return total


@contextmanager
def _logged_in(account: DovecotAccount) -> Iterator[tuple[socket.socket, socket.SocketIO]]:
    with socket.create_connection((account.host, account.port), PATIENCE_SECONDS) as sock:
        stream = socket.SocketIO(sock, "r")
        _line(stream)
        _command(sock, stream, f"l LOGIN {account.user} {account.password}\r\n".encode(), b"l ")
        yield sock, stream


def _command(sock: socket.socket, stream: socket.SocketIO, octets: bytes, tag: bytes) -> None:
    sock.sendall(octets)
    while not (line := _line(stream)).startswith(tag):
        pass
    if not line.startswith(tag + b"OK"):
        raise RuntimeError(f"Dovecot refused a command of the benchmark: {line!r}")


def _line(stream: socket.SocketIO) -> bytes:
    """Read one line octet by octet: nothing behind it may be swallowed, and the lines here are few."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise RuntimeError("Dovecot closed the connection")
    return line
