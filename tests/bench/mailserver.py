"""A throw-away Dovecot with mailboxes of the corpus in it, and the fastest possible reader of one.

Room: tests/bench. Plain sockets: what fills the server and what drains it shall cost as little as can be, and shall not
be the product.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..servers.dovecot import Dovecot, DovecotAccount
from .corpus import CorpusMessage, corpus

__all__ = [
    "Address",
    "Connection",
    "Mailbox",
    "connected",
    "drain",
    "fill_folders",
    "fill_inbox",
    "mailbox",
    "mailserver",
]

PASSWORD = "bench-password"
APPEND_OCTETS = 16_000_000
READ_OCTETS = 1 << 20
PATIENCE_SECONDS = 120.0

# Dovecot announces COMPRESS only with this plug-in; distributions' own configurations have it, and mbsync asks for it.
COMPRESS = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a program finds a mailbox: at the server itself, or at the end of a line that leads there."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox on a running server. *octets* of all messages together; *load_seconds* is what filling it took.

    *folders*: their names, where the mail is not in INBOX alone.
    """

    account: DovecotAccount
    messages: int
    octets: int
    load_seconds: float
    folders: tuple[str, ...] = ("INBOX",)

    @property
    def address(self) -> Address:
        """The server itself."""
        account = self.account
        return Address(host=account.host, port=account.port, user=account.user, password=account.password)

    def at_port(self, port: int) -> Address:
        """The end of a line at *port*."""
        return replace(self.address, port=port)


@contextmanager
def mailserver() -> Iterator[Dovecot]:
    """Start a Dovecot (mdbox, loopback); it ends with the context."""
    with Dovecot(extra=COMPRESS) as server:
        yield server


@contextmanager
def mailbox(messages: int, *, attachments: bool = True) -> Iterator[Mailbox]:
    """Start a Dovecot of its own with *messages* of the corpus in INBOX; it ends with the context."""
    with mailserver() as server:
        yield fill_inbox(server, "bench", corpus(messages, attachments=attachments))


def fill_inbox(server: Dovecot, user: str, messages: Iterable[CorpusMessage]) -> Mailbox:
    """Add a user with *messages* in INBOX."""
    account = server.add_user(user, PASSWORD)
    started = time.monotonic()
    with connected(account) as connection:
        count, octets = connection.append("INBOX", messages)
    return Mailbox(account=account, messages=count, octets=octets, load_seconds=time.monotonic() - started)


def fill_folders(server: Dovecot, user: str, messages: Iterator[CorpusMessage], folders: int, each: int) -> Mailbox:
    """Add a user with *each* of *messages* in so many *folders*, INBOX one of them."""
    account = server.add_user(user, PASSWORD)
    started = time.monotonic()
    names = ("INBOX", *(f"Lists/topic-{number:03}" for number in range(1, folders)))
    count = octets = 0
    with connected(account) as connection:
        for name in names:
            if name != "INBOX":
                connection.command(f"CREATE {name}")
            came, size = connection.append(name, (next(messages) for _ in range(each)))
            count, octets = count + came, octets + size
    seconds = time.monotonic() - started
    return Mailbox(account=account, messages=count, octets=octets, load_seconds=seconds, folders=names)


def drain(account: DovecotAccount) -> int:
    """Read every message of INBOX and throw it away; return the octets received. The floor of every first run."""
    with connected(account) as connection:
        connection.command("EXAMINE INBOX")
        sock = connection.sock
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


@contextmanager
def connected(account: DovecotAccount) -> Iterator[Connection]:
    """Open a connection that is logged in."""
    with socket.create_connection((account.host, account.port), PATIENCE_SECONDS) as sock:
        connection = Connection(sock)
        connection.greeted()
        connection.command(f"LOGIN {account.user} {account.password}")
        yield connection


class Connection:
    """A bare connection: one command after the other, answers of one line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        # Octet by octet: nothing behind a line may be swallowed, and the lines here are few.
        self._stream = socket.SocketIO(sock, "r")

    def greeted(self) -> None:
        """Read the greeting."""
        self._line()

    def command(self, text: str | bytes) -> list[bytes]:
        """Send *text* behind a tag and return the untagged lines. Raises RuntimeError when it is refused."""
        self.sock.sendall(b"a " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        lines: list[bytes] = []
        while not (line := self._line()).startswith(b"a "):
            lines.append(line)
        if not line.startswith(b"a OK"):
            raise RuntimeError(f"Dovecot refused a command of the benchmark: {line!r}")
        return lines

    def append(self, folder: str, messages: Iterable[CorpusMessage]) -> tuple[int, int]:
        """Append *messages* in large batches (MULTIAPPEND, RFC 3502; LITERAL+, RFC 7888); return how many, octets."""
        count = total = 0
        batch = bytearray()
        start = f"APPEND {folder}".encode()
        for message in messages:
            date = message.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
            batch += f' ({" ".join(message.flags)}) "{date}" {{{len(message.octets)}+}}\r\n'.encode()
            batch += message.octets
            count, total = count + 1, total + len(message.octets)
            if len(batch) > APPEND_OCTETS:
                self.command(start + batch)
                batch.clear()
        if batch:
            self.command(start + batch)
        return count, total

    def _line(self) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            raise RuntimeError("Dovecot closed the connection")
        return line
