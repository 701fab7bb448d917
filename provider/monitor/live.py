"""Live updates as server-sent events: a snapshot of a page's parts first, then each part that changed.

State, not steps: whoever reconnects gets the snapshot again, so nothing can be missed and nothing has to be kept for
them. A comment every fifteen seconds shows that the line lives. The number of listeners is bounded.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

__all__ = ["Live"]

LISTENERS_MAX = 16
FAST_SECONDS, SLOW_SECONDS = 0.3, 1.5
"""Between two looks, while something runs and while nothing does."""
SHARE = 4
"""Looking takes a fifth of the time at most, however much there is to see."""
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000

Look = Callable[[], Awaitable[tuple[Mapping[str, str], bool]]]
"""Returns the HTML of each part by the id of its element, and whether something runs."""


class Live:
    """The listeners of one application. *closing*: tells that the server is about to end."""

    def __init__(self, closing: Callable[[], bool] = lambda: False) -> None:
        self._closing = closing
        self._listeners = 0

    @property
    def full(self) -> bool:
        """True when there are as many listeners as there may be."""
        return self._listeners >= LISTENERS_MAX

    async def events(self, look: Look) -> AsyncIterator[str]:
        """Yield the events of one listener, until it goes away or the server ends."""
        sent: dict[str, str] = {}
        number, quiet = 0, 0.0
        self._listeners += 1
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n"
            while not self._closing():
                began = asyncio.get_running_loop().time()
                parts, busy = await look()
                took = asyncio.get_running_loop().time() - began
                changed = {id_: html for id_, html in parts.items() if sent.get(id_) != html}
                sent.update(changed)
                for id_, html in changed.items():
                    number += 1
                    data = json.dumps({"id": id_, "html": html})  # one line: JSON has no raw line breaks
                    yield f"id: {number}\nevent: part\ndata: {data}\n\n"
                pause = max(FAST_SECONDS if busy else SLOW_SECONDS, SHARE * took)
                quiet = 0.0 if changed else quiet + pause
                if quiet >= HEARTBEAT_SECONDS:
                    quiet = 0.0
                    yield ": alive\n\n"
                await self._rest(pause)
        finally:
            self._listeners -= 1

    async def _rest(self, seconds: float) -> None:
        """Sleep, in steps short enough to see the end of the server."""
        while seconds > 0 and not self._closing():
            step = min(FAST_SECONDS, seconds)
            await asyncio.sleep(step)
            seconds -= step
