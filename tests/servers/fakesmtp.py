"""`FakeSmtp`: a submission server that behaves, unless told otherwise in one state, and knows what it delivered.

Room: tests/servers. One thread a connection. `Manners.answers` replaces the answer in a state; None in its place cuts
the connection there. A message counts as delivered when its end (CRLF, dot, CRLF and nothing else) was read and the
answer to it begins with 2, before that answer is sent: as a real server commits first and speaks then.

States: greeting, ehlo, helo, starttls, auth, mail, rcpt, data, dot, rset, noop, quit.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from tests.servers.doorstep import SECRET

__all__ = ["Answer", "Delivered", "FakeSmtp", "Manners"]

HANG_GUARD_SECONDS = 5.0

Answer = bytes | None | Callable[[bytes], "bytes | None"]
"""What is said in a state, CRLF and all; a function gets the command's line (for `dot`: the message)."""

EXTENSIONS = (b"PIPELINING", b"SIZE 60000000", b"8BITMIME", b"SMTPUTF8", b"ENHANCEDSTATUSCODES")
LOGINS = b"AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER"

DEFAULTS = {
    "greeting": b"220 mail.example.org ESMTP\r\n",
    "helo": b"250 mail.example.org\r\n",
    "starttls": b"220 2.0.0 go ahead\r\n",
    "mail": b"250 2.1.0 sender ok\r\n",
    "rcpt": b"250 2.1.5 recipient ok\r\n",
    "data": b"354 go ahead\r\n",
    "dot": b"250 2.0.0 taken\r\n",
    "rset": b"250 2.0.0 forgotten\r\n",
    "noop": b"250 2.0.0 ok\r\n",
    "quit": b"221 2.0.0 bye\r\n",
}


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One message that the server answers for."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    """Dots taken out again."""
    options: tuple[str, ...] = ()
    """Of MAIL FROM, in capitals."""
    user: str = ""
    secure: bool = False


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How a server behaves. `holds`: an answer in that state waits until the event is set."""

    extensions: tuple[bytes, ...] = EXTENSIONS
    answers: Mapping[str, Answer] = field(default_factory=dict)
    holds: Mapping[str, threading.Event] = field(default_factory=dict)
    logins: bytes = LOGINS
    users: Mapping[str, str] = field(default_factory=lambda: {"somebody": SECRET})
    leaves_after: str = ""
    """The state whose answer is the last that is said."""
    delivers_what_it_cuts: bool = False
    """True: a message whose answer is None was delivered before the cut."""
    before_reading: Callable[[int], None] | None = None
    """Called within a message before each read, with the octets read of it so far: may wait."""
    receive_octets: int = 65_536
    window_octets: int | None = None
    """Size of the receive buffer; None: the system's."""


class FakeSmtp:
    """Listens on a loopback port. A context manager; what it tells is for reading after, or under its lock."""

    def __init__(
        self, manners: Manners | None = None, *, tls: ssl.SSLContext | None = None, implicit_tls: bool = False
    ) -> None:
        self.manners = manners or Manners()
        self.delivered: list[Delivered] = []
        self.commands: list[bytes] = []
        """Every line outside messages, of all connections, without CRLF."""
        self.message_octets = 0
        """Read within messages, dots and all."""
        self.connections = 0
        self.tls, self.implicit_tls = tls, implicit_tls
        self.lock = threading.Lock()
        self.moved = threading.Condition(self.lock)
        """Notified when a state is reached (`reached`) and when something was delivered."""
        self.reached: list[str] = []
        self._faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._listener = socket.socket()
        if self.manners.window_octets is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.manners.window_octets)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> FakeSmtp:
        self._spawn(self._accept_all)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # macOS refuses it on a listener; close() is enough there
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for event in self.manners.holds.values():
            event.set()
        self.settle()
        for sock in self._socks:
            with contextlib.suppress(OSError):  # most are closed already
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HANG_GUARD_SECONDS)
        if self._faults and kind is None:
            raise self._faults[0]

    def interject(self, octets: bytes) -> None:
        """Say *octets* on the newest connection without being asked; nobody else may speak meanwhile."""
        self._socks[-1].sendall(octets)

    def hang_up(self) -> None:
        """End the newest connection."""
        self._socks[-1].shutdown(socket.SHUT_RDWR)

    def settle(self) -> None:
        """Wait until every connection whose client has left came to its end."""
        for thread in self._threads[1:]:
            thread.join(0.3)

    def wait_for(self, state: str) -> None:
        """Wait until somebody has reached *state*."""
        with self.moved:
            if not self.moved.wait_for(lambda: state in self.reached, HANG_GUARD_SECONDS):
                raise RuntimeError(f"nobody has reached {state}")

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name=f"fakesmtp-{len(self._threads)}")
        thread.start()
        self._threads.append(thread)  # only now: `settle` may run beside us, and joins what is listed

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed by __exit__
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._socks.append(sock)
            self._spawn(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        visit = _Visit(self, sock)
        try:
            visit.run()
        except (OSError, EOFError):
            pass  # the client refused our TLS, or left: both are what these tests are about
        except BaseException as error:  # shown by __exit__, in the thread of the test
            self._faults.append(error)
        finally:
            with contextlib.suppress(OSError):
                visit.sock.close()


class _Cut(EOFError):
    """The server ends the connection."""


class _Visit:
    """One connection."""

    def __init__(self, server: FakeSmtp, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self.user = ""
        self._rest = b""
        self._forget()

    def run(self) -> None:
        if self.server.implicit_tls:
            self._start_tls()
        self._answer("greeting", b"")
        while (line := self._line()) is not None:
            with self.server.lock:
                self.server.commands.append(line)
            verb = line.split(b" ")[0].split(b":")[0].lower().decode("ascii", "replace")
            handler = getattr(self, f"_do_{verb}", None)
            if handler is None:
                self._say(b"500 5.5.1 what?\r\n")
            elif handler(line) is False:
                return

    # -- commands -------------------------------------------------------------------------------

    def _do_ehlo(self, line: bytes) -> None:
        self._forget()
        words = [b"mail.example.org", *self.manners.extensions]
        if self.manners.logins:
            words.append(self.manners.logins)
        if self.server.tls is not None and not self._secure:
            words.append(b"STARTTLS")
        lines = [b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]]
        self._answer("ehlo", line, b"\r\n".join(lines) + b"\r\n")

    def _do_helo(self, line: bytes) -> None:
        self._forget()
        self._answer("helo", line)

    def _do_starttls(self, line: bytes) -> None:
        if self._answer("starttls", line).startswith(b"220"):
            self._rest = b""
            self._start_tls()
            self._forget()

    def _do_auth(self, line: bytes) -> None:
        words = line.split(b" ")
        mechanism = words[1].upper() if len(words) > 1 else b""
        if mechanism == b"LOGIN":
            user, secret = self._challenge(b"Username:"), self._challenge(b"Password:")
        else:
            first = base64.b64decode(words[2]) if len(words) > 2 else self._challenge(b"")
            user, secret = _credentials(mechanism, first)
        known = self.manners.users.get(user.decode("utf-8", "replace"))
        good = known is not None and secret == known.encode()
        said = self._answer("auth", line, b"235 2.7.0 in\r\n" if good else b"535 5.7.8 no\r\n")
        if said.startswith(b"235"):
            self.user = user.decode("utf-8", "replace")

    def _do_mail(self, line: bytes) -> None:
        path, _, options = line.partition(b":")[2].partition(b">")
        if self._answer("mail", line).startswith(b"250"):
            self._sender = path.lstrip(b"<").decode()
            self._options = tuple(options.decode().upper().split())

    def _do_rcpt(self, line: bytes) -> None:
        if self._sender is None and "rcpt" not in self.manners.answers:
            self._say(b"503 5.5.1 MAIL first\r\n")
        elif self._answer("rcpt", line).startswith(b"25"):
            self._recipients.append(line.partition(b":")[2].partition(b">")[0].lstrip(b"<").decode())

    def _do_data(self, line: bytes) -> None:
        if not self._recipients:
            self._say(b"554 5.5.1 no recipients\r\n")
            return
        if not self._answer("data", line).startswith(b"354"):
            return
        octets = self._message()
        sent = Delivered(
            sender=self._sender or "",
            recipients=tuple(self._recipients),
            octets=octets,
            options=self._options,
            user=self.user,
            secure=self._secure,
        )
        self._forget()

        def judge(answer: bytes | None) -> None:
            if answer.startswith(b"2") if answer is not None else self.manners.delivers_what_it_cuts:
                with self.server.moved:
                    self.server.delivered.append(sent)
                    self.server.moved.notify_all()

        self._answer("dot", octets, judge=judge)

    def _do_rset(self, line: bytes) -> None:
        self._forget()
        self._answer("rset", line)

    def _do_noop(self, line: bytes) -> None:
        self._answer("noop", line)

    def _do_quit(self, line: bytes) -> bool:
        self._answer("quit", line)
        return False

    # -- octets ---------------------------------------------------------------------------------

    @property
    def manners(self) -> Manners:
        """A test may change them between two commands."""
        return self.server.manners

    @property
    def _secure(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def _forget(self) -> None:
        self._sender: str | None = None
        self._options: tuple[str, ...] = ()
        self._recipients: list[str] = []

    def _start_tls(self) -> None:
        assert self.server.tls is not None
        if not self.sock.recv(1, socket.MSG_PEEK):  # wrap_socket loses a socket whose peer is gone (CPython 3.11)
            raise _Cut
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)

    def _answer(
        self,
        state: str,
        line: bytes,
        otherwise: bytes | None = None,
        judge: Callable[[bytes | None], None] = lambda answer: None,
    ) -> bytes:
        with self.server.moved:
            self.server.reached.append(state)
            self.server.moved.notify_all()
        known: Answer = self.manners.answers.get(state, otherwise or DEFAULTS.get(state, b""))
        answer = known(line) if callable(known) else known
        judge(answer)
        if state in self.manners.holds:
            self.manners.holds[state].wait(HANG_GUARD_SECONDS)
        if answer is None:
            raise _Cut
        self._say(answer)
        if state == self.manners.leaves_after:
            raise _Cut
        return answer

    def _challenge(self, text: bytes) -> bytes:
        self._say(b"334 " + base64.b64encode(text) + b"\r\n")
        line = self._line()
        if line is None:
            raise _Cut
        with self.server.lock:
            self.server.commands.append(line)
        return base64.b64decode(line)

    def _say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def _line(self) -> bytes | None:
        while b"\r\n" not in self._rest:
            octets = self.sock.recv(65_536)
            if not octets:
                return None
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _message(self) -> bytes:
        """Read to the final dot. A `bytearray` grows in place: messages of 25 MB are played."""
        seen = bytearray(b"\r\n" + self._rest)
        with self.server.lock:
            self.server.message_octets += len(self._rest)
        at = 0
        while (end := seen.find(b"\r\n.\r\n", max(0, at - 4))) < 0:
            at = len(seen)
            if self.manners.before_reading is not None:
                self.manners.before_reading(at - 2)
            octets = self.sock.recv(self.manners.receive_octets)
            if not octets:
                raise _Cut
            seen += octets
            with self.server.lock:
                self.server.message_octets += len(octets)
        self._rest = bytes(seen[end + 5 :])
        return bytes(seen[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]


def _credentials(mechanism: bytes, first: bytes) -> tuple[bytes, bytes]:
    if mechanism == b"PLAIN":
        _, user, secret = first.split(b"\0")
        return user, secret
    token = next(part for part in first.split(b"\1") if part.startswith(b"auth=Bearer "))
    start = first.split(b"\1")[0]
    user = start.removeprefix(b"user=") if mechanism == b"XOAUTH2" else start.split(b",")[1].removeprefix(b"a=")
    return user, token.removeprefix(b"auth=Bearer ")
