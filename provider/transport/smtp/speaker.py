"""aiosmtplib, made to speak through a ``Channel``: it words the commands and reads what EHLO announces; nothing else.

Its own connection is never made: it has no total deadlines, writes a whole message into a buffer that it flushes even
after giving up (a second try then doubles the mail), throws away what a server says unasked, and believes what is left
in its buffer for the answer to the next command. So ``execute_command``, the one place through which all its commands
go, is overridden. Its coroutines never wait for a loop: ``converse`` starts them, sends what they all say in one piece
(which is PIPELINING, RFC 2920) and gives each its answer in order.
"""

import base64
import re
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import closing
from typing import Any

from aiosmtplib import SMTP, SMTPResponse, SMTPResponseException

from store.mail.submission import Reply

from ...account import Login
from ...channel import Channel
from ...errors import ProtocolBroken, ServerBusy
from ...sasl import Words
from .replies import CLOSING, Said, read_said

__all__ = ["Command", "Hangup", "Speaker"]

Command = Coroutine[Any, Any, object]
"""A conversation of aiosmtplib's or ours, not begun."""

CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

LATER_SECONDS = 300.0
"""When a server sends us away without saying for how long."""

REST_SECONDS = 1.0
"""For the rest of an answer that nobody asked for."""

CHALLENGE = 334


class Hangup(ServerBusy):
    """The server says 421: it closes the connection, whatever it was asked."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(
            "The server does not want us now.",
            response_code=str(reply.code),
            server_text=reply.text,
            retry_after_seconds=LATER_SECONDS,
        )
        self.reply = reply


class _Answer:
    """What a command of aiosmtplib waits for."""

    def __await__(self) -> Generator[None, SMTPResponse, SMTPResponse]:
        return (yield)


class Speaker(SMTP):
    """One conversation on *channel*. *name*: what we call ourselves; *reply_octets*: how long an answer may be."""

    def __init__(self, channel: Channel, *, name: str, reply_octets: int) -> None:
        super().__init__(local_hostname=name, use_tls=False, start_tls=False, timeout=None)
        self._channel = channel
        self._reply_octets = reply_octets
        self._unsent = b""

    async def execute_command(self, *args: bytes, timeout: object = None) -> SMTPResponse:
        """Take note of one line to send, and wait for its answer. Raises ValueError for control characters."""
        if any(CONTROL.search(arg) for arg in args):
            raise ValueError("a control character in a command")
        self._unsent += b" ".join(args) + b"\r\n"
        return await _Answer()

    async def authenticate(self, words: Words) -> None:
        """Log in (RFC 4954), with an initial response where the mechanism has one."""
        name = words.mechanism.value.upper().encode("ascii")
        if words.mechanism is Login.LOGIN:
            steps = [words.user.encode(), words.secret.encode()]
            response = await self.execute_command(b"AUTH", name)
        else:
            steps = [] if words.acknowledgement is None else [words.acknowledgement]
            response = await self.execute_command(b"AUTH", name, base64.b64encode(words.first))
        for step in steps:
            if response.code != CHALLENGE:
                return
            response = await self.execute_command(base64.b64encode(step))
        if response.code == CHALLENGE:
            await self.execute_command(b"*")  # a question that no mechanism of ours has

    def converse(self, *commands: Command, arm: Callable[[], None] = lambda: None) -> Iterator[Said]:
        """Say all *commands* at once; yield how each ended. *arm* is called before each wait.

        Raises ProtocolBroken, LimitExceeded, Hangup, and what the channel raises; the rest is not answered then.
        """
        for command in commands:
            command.send(None)
        arm()
        self._say()
        for command in commands:
            with closing(command):
                yield self._finish(command, arm)

    def ask(self, command: Command) -> Said:
        """Say one command; return how it ended. Raises as ``converse`` does."""
        (said,) = self.converse(command)
        return said

    def read(self, first: bytes | None = None) -> Said:
        """Read one answer. Raises Hangup for 421."""
        said = read_said(self._channel.readline, self._reply_octets, first)
        if said.code == CLOSING:
            raise Hangup(said.reply)
        return said

    def listen(self) -> Said | None:
        """Return what the server said unasked, if it did. Waits for nothing but the rest of it, and not for long.

        Then the deadline is another one; nobody goes on after that.
        """
        if not self._channel.arrived():
            return None
        self._channel.deadline(REST_SECONDS)
        return self.read()

    def _finish(self, command: Command, arm: Callable[[], None]) -> Said:
        while True:
            said = self.read()
            try:
                command.send(SMTPResponse(said.code, "\n".join(said.lines)))
            except (StopIteration, SMTPResponseException):
                return said
            arm()
            self._say()

    def _say(self) -> None:
        """Send what is noted. An answer that came before its question answers another one: nothing can be trusted."""
        if (said := self.listen()) is not None:
            raise ProtocolBroken("The server said something that nobody asked for.", server_text=said.reply.text)
        octets, self._unsent = self._unsent, b""
        self._channel.send(octets)
