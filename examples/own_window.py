"""A window of your own: progress events become what it shows, on the loop of the host's user interface.

Nothing is polled and no thread is crossed by hand: ``handle.events()`` yields on this loop, from the first event on. A
slow window hears the latest state of each item, not every step; a window that is closed leaves the loop, and the
synchronization goes on without it. Here the window is drawn with letters; a widget takes the same values.
"""

import asyncio

from provider import MailStoreProvider, SyncError, SyncProgress, SyncResult
from provider.testing import MemoryServer
from store import open_store


class Window:
    """One bar for each folder, and a line at the bottom."""

    def __init__(self) -> None:
        self.bars: dict[str, SyncProgress] = {}
        self.troubles: list[SyncError] = []
        self.bottom = "Synchronizing ..."

    def take(self, event: SyncProgress | SyncError | SyncResult) -> None:
        match event:
            case SyncProgress(folder=None):
                self.bottom = f"{event.account}: {event.octets_done:,} octets"
            case SyncProgress(folder=folder):
                self.bars[folder] = event
            case SyncError():
                self.troubles.append(event)  # event.needs says what helps: retry, reconnect, login, user
            case SyncResult():
                self.bottom = f"{event.status.value}: {event.downloaded.new} new messages"

    def draw(self) -> str:
        lines = [f"{name:<8} [{bar(step):<20}] {step.status.value}" for name, step in sorted(self.bars.items())]
        return "\n".join([*lines, *(f"! {trouble.text}" for trouble in self.troubles), self.bottom])


def bar(step: SyncProgress) -> str:
    """A bar of 20 letters; without an end when nobody knows yet how much there is."""
    if not step.messages_total:
        return "#" * 20 if step.status.terminal else "..."
    return "#" * (20 * step.messages_done // step.messages_total)


async def main() -> None:
    server = MemoryServer()
    server.add_folder("Archive")
    for number in range(200):
        server.append("INBOX" if number % 4 else "Archive", f"Subject: Note {number}\r\n\r\nHello.\r\n".encode())
    window = Window()
    with open_store("mail.db") as store, MailStoreProvider(store, [server.account("work")]) as provider:
        async for event in provider.SynchronizeInBackground().events():
            window.take(event)  # and window.draw() at the next frame
    print(window.draw())


asyncio.run(main())
