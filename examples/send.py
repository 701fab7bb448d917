"""Write a message, send it, and see what became of it: one copy in Sent, one answer for each recipient."""

from dataclasses import replace
from email.message import EmailMessage

from provider import MailStoreProvider, Smtp, SyncRequest
from provider.testing import MemoryServer, MemoryTransport
from store import open_store

server, way_out = MemoryServer(), MemoryTransport(refuse=frozenset({"bob@example.org"}))
account = replace(server.account("work"), smtp=Smtp(host="smtp.example.org"))

message = EmailMessage()
message["From"] = "Me <me@example.org>"
message["To"] = "Ann <ann@example.org>, bob@example.org"
message["Bcc"] = "archive@example.org"
message["Subject"] = "Lunch?"
message.set_content("At noon.\n")

with open_store("mail.db") as store, MailStoreProvider(store, [account], transport_of=way_out) as provider:
    submission = store.outbox.submit(account.id, message, key="lunch-1")  # on disk; from now on it is sent, once
    result = provider.send_and_receive(SyncRequest()).wait(timeout=60)  # the outbox first, then a synchronization
    with store.read() as view:
        submission = view.submission(submission.id)
    print(f"{submission.state.value}; {result.uploaded.sent} message sent")
    for recipient in submission.recipients:
        print(f"{recipient.address}: {recipient.fate.value}")

print("Bcc went out:", b"archive@" in way_out.sent[0].octets)
print("copies in Sent:", len(server.messages("Sent")))
