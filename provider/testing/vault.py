"""A vault in memory, for tests of hosts."""

import threading
from collections import defaultdict
from contextlib import AbstractContextManager

__all__ = ["MemoryVault"]


class MemoryVault:
    """A ``Vault`` that lives as long as its process. Thread-safe; shows no secret."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], str] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __repr__(self) -> str:
        return f"MemoryVault({len(self._secrets)} secrets)"

    def get(self, account: str, name: str) -> str | None:
        """Return a secret, None when there is none."""
        return self._secrets.get((account, name))

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep a secret in the place of an older one."""
        self._secrets[account, name] = secret

    def delete(self, account: str, name: str) -> None:
        """Forget a secret; nothing happens when there is none."""
        self._secrets.pop((account, name), None)

    def alone(self, account: str) -> AbstractContextManager[object]:
        """While inside, no other thread is for that account."""
        return self._locks[account]
