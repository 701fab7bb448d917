"""A mail program in miniature: synchronize an account into a store, hear how it goes, read the newest mail.

The server here lives in memory, so that this runs anywhere. For a real one, pass an account instead:
Account(id="work", host="imap.example.org", user="jo", credentials=Password("secret")).
"""

from threading import Event

from provider import MailStoreProvider, SyncError, SyncProgress, SyncRequest, SyncResult
from provider.testing import MemoryServer
from store import open_store


class Window:
    def __init__(self) -> None:
        self.finished = Event()

    def progress(self, step: SyncProgress) -> None:
        print(f"{step.folder or step.account}: {step.status.value}, {step.messages_done} messages")

    def error(self, error: SyncError) -> None:
        print(f"{error.severity.name}: {error.text}")

    def done(self, result: SyncResult) -> None:
        print(f"{result.status.value}: {result.downloaded.new} new")
        self.finished.set()


server = MemoryServer()
server.append("INBOX", b"From: Ann <ann@example.org>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n")
window = Window()

with open_store("mail.db") as store, MailStoreProvider(store, [server.account("work")]) as provider:
    provider.SynchronizeInBackground(SyncRequest(callback=window))  # returns at once; what it tells comes later
    window.finished.wait(timeout=60)
    with store.read() as view:
        for message in view.all_messages(limit=20).messages:
            print(message.subject, "from", message.from_[0].name)
