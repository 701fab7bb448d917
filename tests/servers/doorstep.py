"""`Doorstep`: a server for the first words of a connection, played by a small function per test row.

Room: tests/servers. The function gets a `Visitor` for each connection and says and hears what it likes, before, after
and instead of TLS; the doorstep keeps every octet that the client said, decrypted. Where folders and messages matter,
use `FakeImap`. `Silent` and `Supplier` stand on our side of the door;
`entered` and `refusal` knock.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType

import pytest

from provider.account import Account, Credential, Security
from provider.cancel import Stop
from provider.errors import ProviderError
from provider.sources.base import Notice
from provider.sources.imap.connect import Door, open_door
from store.mail import AccountId

__all__ = [
    "CAPABILITIES",
    "GREETING",
    "SECRET",
    "Doorstep",
    "Script",
    "Silent",
    "Supplier",
    "Visitor",
    "account_at",
    "commands",
    "entered",
    "greets",
    "refusal",
]

HANG_GUARD_SECONDS = 5.0

SECRET = "s3cret-of-the-door"

GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN STARTTLS] ready\r\n"
CAPABILITIES = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n"


class Silent:
    """A listener that remembers only that somebody began to wait, and what it was noticed of."""

    def __init__(self) -> None:
        self.idle = threading.Event()
        self.notices: list[Notice] = []

    def received(self, octets: int) -> None: ...

    def waiting(self, seconds: float) -> None:
        self.idle.set()

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)


class Supplier:
    """Supplies *secrets* one after the other, the last for ever; remembers each question's *refused*."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = list(secrets or (SECRET,))
        self.asked: list[bool] = []

    def __call__(self, account: Account, *, refused: bool) -> Credential:
        self.asked.append(refused)
        return Credential(self._secrets.pop(0) if len(self._secrets) > 1 else self._secrets[0])


class Visitor:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket, heard: bytearray) -> None:
        self.sock, self.heard = sock, heard
        self.tag = b""
        """Of the command heard last."""

    def say(self, octets: bytes) -> None:
        """Send *octets*; `@` at the start of a line stands for the tag of the command heard last."""
        lines = octets.split(b"\r\n")
        self.sock.sendall(b"\r\n".join(self.tag + line[1:] if line.startswith(b"@") else line for line in lines))

    def hear(self) -> bytes | None:
        """Return the next line without its end; None when the client is gone. Remembers its tag."""
        line = bytearray()
        while not line.endswith(b"\r\n"):
            octet = self.sock.recv(1)
            if not octet:
                return None
            self.heard += octet
            line += octet
        if b" " in line:  # an answer to a challenge has no tag
            self.tag = bytes(line).split(b" ")[0]
        return bytes(line[:-2])

    def wait_for_end(self) -> None:
        """Say nothing more until the client goes."""
        while octets := self.sock.recv(4096):
            self.heard += octets

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Take the client's handshake; raises what ssl raises when it refuses ours, ConnectionError when it went."""
        if not self.sock.recv(1, socket.MSG_PEEK):  # wrap_socket loses a socket whose peer is gone (CPython 3.11)
            raise ConnectionResetError("the client went before its handshake")
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def obey(self, *answers: bytes) -> None:
        """Hear one command for each of *answers* and say it; then wait for the end."""
        for answer in answers:
            if self.hear() is None:
                return
            self.say(answer)
        self.wait_for_end()


Script = Callable[[Visitor], None]


class Doorstep:
    """Listens on a loopback port and plays *script* to everybody. A context manager; `heard` is for reading after."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.heard = bytearray()
        """What all clients said, in clear."""
        self.visits = 0
        self.visited = threading.Event()
        self._faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Doorstep:
        self._spawn(self._accept_all)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # macOS refuses it on a listener; close() is enough there
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):  # most are closed already
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HANG_GUARD_SECONDS)
        if self._faults:
            raise self._faults[0]
        if any(thread.is_alive() for thread in self._threads):
            raise RuntimeError("a script of the doorstep hangs")

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed by __exit__
            self.visits += 1
            self._socks.append(sock)
            self.visited.set()
            self._spawn(self._play, Visitor(sock, self.heard))

    def _play(self, visitor: Visitor) -> None:
        try:
            self._script(visitor)
        except OSError:
            pass  # the client refused our TLS, or went while we spoke: both are what these tests are about
        except BaseException as error:  # shown by __exit__, in the thread of the test
            self._faults.append(error)
        finally:
            with contextlib.suppress(OSError):
                visitor.sock.close()


def account_at(port: int, **changes: object) -> Account:
    """An account on loopback without TLS, whose supplier knows SECRET."""
    plain = Account(
        id=AccountId("door"),
        host="127.0.0.1",
        port=port,
        security=Security.NONE,
        user="somebody",
        credentials=Supplier(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def greets(greeting: bytes, *answers: bytes) -> Script:
    def serve(visitor: Visitor) -> None:
        visitor.say(greeting)
        visitor.obey(*answers)

    return serve


def refusal(script: Script, **changes: object) -> tuple[ProviderError, Doorstep]:
    """Return how opening the door ends against *script*, and the server afterwards."""
    with Doorstep(script) as server, pytest.raises(ProviderError) as caught:
        open_door(account_at(server.port, **changes), Stop(), Silent())
    return caught.value, server


@contextlib.contextmanager
def entered(script: Script, **changes: object) -> Iterator[tuple[Door, Doorstep]]:
    with Doorstep(script) as server:
        door = open_door(account_at(server.port, **changes), Stop(), Silent())
        with contextlib.closing(door.channel):
            yield door, server


def commands(server: Doorstep) -> list[bytes]:
    """Return what was heard, line by line, without tags."""
    return [line.partition(b" ")[2] for line in bytes(server.heard).split(b"\r\n")[:-1]]
