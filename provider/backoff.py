"""When to try again after a failure. Pure: failures and chance in, seconds out.

Rules: waits double from 1 s to 15 min; chance takes up to half of each away, so that a thousand clients of one server
do not come back together; what a server asks for is obeyed, up to a day; an account that refuses its login is asked
once a minute at most.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from .errors import ErrorKind, ProviderError

__all__ = ["Backoff"]

_ASKED_SECONDS_MAX = 86_400.0
"""A server that says "in ten years" is not believed further than this."""
_DOUBLINGS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after the n-th failure in a row.

    >>> [round(Backoff().longest(n)) for n in (1, 2, 3, 10, 11, 1_000_000)]
    [1, 2, 4, 512, 900, 900]
    """

    first_seconds: float = 1.0
    last_seconds: float = 900.0
    login_seconds: float = 60.0
    """Between two logins of an account that refuses them."""

    def longest(self, failures: int) -> float:
        """Return the wait after *failures* failures in a row before chance shortens it."""
        return min(self.last_seconds, self.first_seconds * 2.0 ** min(max(failures, 1) - 1, _DOUBLINGS_MAX))

    def delay(self, failures: int, random: Random, error: ProviderError | None = None) -> float:
        """Return the seconds to wait after *failures* failures in a row, the last one being *error*.

        Never less than ``first_seconds``; never less than the server asked for.
        """
        longest = self.longest(failures)
        seconds = max(self.first_seconds, random.uniform(longest / 2, longest))
        if error is None:
            return seconds
        if error.kind in (ErrorKind.LOGIN_REFUSED, ErrorKind.SIGN_IN_AGAIN):
            seconds = max(seconds, self.login_seconds)
        asked = error.retry_after_seconds
        if asked is not None and math.isfinite(asked):
            seconds = max(seconds, min(asked, _ASKED_SECONDS_MAX))
        return seconds

    def delays(self, random: Random) -> Iterator[float]:
        """Yield the waits after the first, the second, ... failure in a row, without end."""
        failures = 0
        while True:
            failures += 1
            yield self.delay(failures, random)
