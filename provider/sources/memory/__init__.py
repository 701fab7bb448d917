"""A mail server in memory and the source that reads it: for tests, demonstrations, and hosts that try things out."""

from .faults import Hang, MemoryFaults
from .model import MemoryMessage
from .server import MemoryServer
from .session import MemorySession, MemorySource, memory_source

__all__ = [
    "Hang",
    "MemoryFaults",
    "MemoryMessage",
    "MemoryServer",
    "MemorySession",
    "MemorySource",
    "memory_source",
]
