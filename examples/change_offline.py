"""Changing mail offline: it is so here at once, and on the server with the next synchronization.

The server here lives in memory, so that this runs anywhere; see embed.py for a real one.
"""

from provider import MailStoreProvider, SyncRequest
from provider.testing import MemoryServer
from store import AccountId, FolderPath, open_store

server = MemoryServer()
server.append("INBOX", b"From: Ann <ann@example.org>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n")
server.append("INBOX", b"From: Bob <bob@example.org>\r\nSubject: Invoice\r\n\r\nPlease pay.\r\n")

with open_store("mail.db") as store, MailStoreProvider(store, [server.account("work")]) as provider:
    provider.SynchronizeInBackground(SyncRequest()).wait(timeout=60)
    with store.read() as view:
        key_of = {message.subject: message.key for message in view.all_messages().messages}

    with store.edit("tidy up") as edit:  # one batch: on disk when this block ends, or nothing of it
        edit.set_flags([key_of["Lunch?"]], add=["\\Seen", "$Work"])
        archive = edit.create_folder(AccountId("work"), FolderPath(("Archive", "2026")))
        edit.move([key_of["Invoice"]], archive)  # it keeps its key
    with store.edit("note") as edit:
        edit.append(archive, b"From: me@example.org\r\nSubject: Note\r\n\r\nPaid.\r\n")
        note = edit.batch
    with store.edit("second thoughts") as edit:
        edit.undo(note)

    with store.read() as view:
        for operation in view.operations():
            print("waits:", operation.kind.value)
    result = provider.SynchronizeInBackground(SyncRequest()).wait(timeout=60)
    sent = result.uploaded
    print(f"{result.status.value}: {sent.modified} marked, {sent.new} moved, {sent.folders_new} folders made")
