"""What a submission server's words mean. Pure.

An answer is one or more lines with one code of three digits (RFC 5321 §4.2); what it means for a recipient says the
first digit alone, since servers are careless with the enhanced codes of RFC 3463 and RFC 2034: those only add what a
person may read.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from store.mail.submission import Reply

from ...errors import LimitExceeded, ProtocolBroken, printable

__all__ = ["CLOSING", "Said", "Verdict", "read_said", "verdict"]

CLOSING = 421
"""Service not available, closing: possible in any state (RFC 5321 §3.8)."""

EXCEEDED = 552
"""Too much; to RCPT it was once the code for too many recipients (RFC 5321 §4.5.3.1.10)."""

LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*?))?\r?\n\Z", re.DOTALL)
ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: +|\Z)")

LINES_MAX = 1_000


class Verdict(Enum):
    """What an answer means for what it answers."""

    TAKEN = "taken"
    GO_ON = "go on"
    """3yz: the server waits for more."""
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Said:
    """One whole answer."""

    code: int
    lines: tuple[str, ...]
    """Without codes; at least one."""

    @property
    def reply(self) -> Reply:
        """The answer as a value to keep: text on one line, without control characters, capped.

        >>> Said(550, ("5.1.1 No such", "5.1.1 user")).reply
        Reply(code=550, enhanced='5.1.1', text='No such user')
        """
        enhanced = ""
        texts = []
        for line in self.lines:
            match = ENHANCED.match(line)
            if match is not None and int(match[1]) == self.code // 100:
                enhanced = enhanced or ".".join(match.groups())
                line = line[match.end() :]
            texts.append(line)
        return Reply(code=self.code, enhanced=enhanced, text=printable(" ".join(texts)))


def read_said(next_line: Callable[[], bytes], octets_max: int, first: bytes | None = None) -> Said:
    """Read one answer, line by line; *first*: its first line, when that was read already.

    Raises ProtocolBroken for what is no answer, LimitExceeded beyond *octets_max*, and what *next_line* raises.

    >>> lines = iter([b"250-mail.example\\r\\n", b"250 SIZE 10\\r\\n"])
    >>> read_said(lines.__next__, 1000)
    Said(code=250, lines=('mail.example', 'SIZE 10'))
    """
    texts: list[str] = []
    code, octets = b"", 0
    while True:
        line = next_line() if first is None else first
        first = None
        octets += len(line)
        if octets > octets_max or len(texts) >= LINES_MAX:
            raise LimitExceeded("The server's answer does not end.", server_text=line)
        match = LINE.match(line)
        if match is None or (code and match[1] != code):
            raise ProtocolBroken("The server's answer makes no sense.", server_text=line)
        code = match[1]
        texts.append((match[3] or b"").decode("utf-8", "replace"))
        if match[2] != b"-":
            return Said(int(code), tuple(texts))


def verdict(reply: Reply, *, crowded: bool = False) -> Verdict:
    """Return what *reply* means. *crowded*: it answers RCPT, and other recipients were taken before.

    >>> verdict(Reply(code=250)), verdict(Reply(code=550, enhanced="4.2.0"))
    (<Verdict.TAKEN: 'taken'>, <Verdict.REFUSED: 'refused'>)
    """
    if crowded and reply.code == EXCEEDED and reply.enhanced in ("", "5.5.3"):
        return Verdict.LATER  # as 452: too many at once, not one too many for ever
    return (Verdict.TAKEN, Verdict.GO_ON, Verdict.LATER, Verdict.REFUSED)[reply.code // 100 - 2]
