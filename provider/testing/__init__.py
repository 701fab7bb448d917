"""For programs that embed maildock: mail server, way out and vault in memory, a callback that records, a clock by hand.

server = MemoryServer()
server.append("INBOX", b"Subject: hello\\r\\n\\r\\nworld")
account = server.account("me")
"""

from ..sources.memory import Hang, MemoryFaults, MemoryMessage, MemoryServer
from .callback import RecordingCallback, check_grammar
from .clock import ManualClock
from .transport import MemoryTransport, SentMail
from .vault import MemoryVault

__all__ = [
    "Hang",
    "ManualClock",
    "MemoryFaults",
    "MemoryMessage",
    "MemoryServer",
    "MemoryTransport",
    "MemoryVault",
    "RecordingCallback",
    "SentMail",
    "check_grammar",
]
