"""What ``maildock demo`` plays: a real server, a fresh store, three synchronizations, and changes between them.

The server is changed through the stdlib's imaplib, so that nothing of maildock stands on both sides of the wire.
"""

import imaplib
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic

from store import MailStore, open_store
from store.mail import AccountId, FolderPath, MessageKey

from .. import Account, Password, Security, SyncRequest
from .demo_mail import DemoMessage, demo_messages, late_messages
from .demo_server import DemoServer, DemoServerMissing
from .exits import ExitCode, Trouble
from .home import Home
from .output import count, put
from .pending_commands import operation_facts, put_operations
from .read_commands import message_pages, put_folders, put_messages
from .sync_command import run_request

__all__ = ["play"]

NEWEST = 12
DELETED = 6
FLAGGED = 4
READ, MOVED, NEW_FOLDER = 3, 2, "Projects/Harbour"
DRAFT = b"From: demo@maildock.example\r\nSubject: Written offline\r\n\r\nSent up by the next synchronization.\r\n"


def play(given: str | None) -> ExitCode:
    """Play the demo in the home *given*, which must hold no store yet, or in a new temporary directory."""
    home = Home(Path(given).expanduser().absolute() if given else Path(mkdtemp(prefix="maildock-demo-")))
    if home.store_path.exists():
        raise Trouble(f"{home.path} holds a store already.", ExitCode.USAGE, "The demo makes a fresh one: --home DIR")
    home.prepare()
    user, password = "demo", secrets.token_urlsafe(16)
    try:
        with DemoServer(user=user, password=password) as server, open_store(home.store_path) as store:
            account = Account(
                id=AccountId("demo"),
                host=server.host,
                port=server.port,
                security=Security.NONE,  # loopback
                user=user,
                credentials=Password(password),
            )
            return _acts(store, account, _Mailbox(server), home)
    except DemoServerMissing as error:
        raise Trouble(str(error), ExitCode.USAGE) from None


def _acts(store: MailStore, account: Account, mailbox: "_Mailbox", home: Home) -> ExitCode:
    _title(f"A mail server (pymap) listens on {account.host}:{account.port}; it is being filled.")
    messages = list(demo_messages())
    mailbox.fill(messages)
    put(f"{count(len(messages), 'message')} in {count(len({one.folder for one in messages}), 'folder')}.")

    _title("maildock sync: the first synchronization, into a fresh store")
    first = _synchronize(store, account)
    _title("maildock folders")
    with store.read() as view:
        put_folders(view.folders())
    _title(f"maildock list --all --limit {NEWEST}")
    put_messages(message_pages(store, None, None, limit=NEWEST))

    late = list(late_messages())
    _title(
        f"On the server: {count(len(late), 'new message')}, {count(FLAGGED, 'message')} flagged, "
        f"{count(DELETED, 'message')} deleted."
    )
    mailbox.change(late)
    _title("maildock sync: the second synchronization brings the difference, and nothing else")
    second = _synchronize(store, account)
    _title(f"maildock list INBOX --limit {NEWEST // 2}")
    with store.read() as view:
        inbox = next(folder.id for folder in view.folders() if str(folder.path) == "INBOX")
    put_messages(message_pages(store, inbox, None, limit=NEWEST // 2))

    _title(f"Offline: {READ} messages read, {MOVED} moved into a new folder, a draft written (maildock pending)")
    _change_here(store, account.id)
    with store.read() as view:
        pending = view.operations()
        put_operations(pending, operation_facts(view, pending))
    _title("maildock sync: the third synchronization sends that, in one go")
    third = _synchronize(store, account)
    _title("On the server")
    for folder in (NEW_FOLDER, "Drafts"):
        put(f"{folder}: {count(mailbox.number_in(folder), 'message')}")

    report = store.check(full=True)
    _title("The store is whole." if report.ok else f"The store has {count(len(report.problems), 'problem')}.")
    with store.read() as view:
        newest = view.all_messages(limit=1).messages[0]
    _what_next(home, newest.key)
    return max(first, second, third, ExitCode.COMPLETE if report.ok else ExitCode.STORE)


def _change_here(store: MailStore, account: AccountId) -> None:
    """Change the newest mail of INBOX in the store, as a person would who is offline."""
    with store.edit("the demo") as edit:
        folders = {str(folder.path): folder.id for folder in edit.view.folders(account)}
        newest = [message.key for message in edit.view.messages(folders["INBOX"], limit=READ + MOVED).messages]
        edit.set_flags(newest[:READ], add=["\\Seen"])
        edit.move(newest[READ:], edit.create_folder(account, FolderPath.parse(NEW_FOLDER)))
        edit.append(folders["Drafts"], DRAFT, flags=["\\Draft", "\\Seen"])


def _synchronize(store: MailStore, account: Account) -> ExitCode:
    began = monotonic()
    code = run_request(store, [account], SyncRequest(), json=False, alone=True)
    put(f"({monotonic() - began:.1f} seconds)")
    return code


def _title(text: str) -> None:
    put()
    put(text)
    put("─" * min(len(text), 100))


def _what_next(home: Home, message: MessageKey) -> None:
    put(f"The store is {home.store_path}; the server ends with this demo, the mail stays. Try:")
    show = f"show {message}"
    for words in ("list --all", "list INBOX --json --limit 3", show, f"{show} --raw", "status", "check --full"):
        put(f"  maildock --home {home.path} {words}")
    put("With an account of your own:")
    put("  maildock account add NAME --host imap.example.org --user U --password-command 'pass show mail'")
    put("  maildock sync NAME")


class _Mailbox:
    """The demo user's mail on the server, changed as another client would."""

    def __init__(self, server: DemoServer) -> None:
        self._server = server

    def fill(self, messages: Sequence[DemoMessage]) -> None:
        """Append *messages*, making their folders."""
        with self._login() as client:
            for folder in dict.fromkeys(one.folder for one in messages):
                if folder != "INBOX":
                    _ok(client.create(_quoted(folder)))
            self._append(client, messages)

    def change(self, late: Sequence[DemoMessage]) -> None:
        """Append *late*, expunge the oldest unflagged messages of INBOX, and flag those after them."""
        with self._login() as client:
            _ok(client.select("INBOX"))
            found = client.search(None, "UNFLAGGED")
            _ok(found)
            numbers = found[1][0].decode().split()
            _ok(client.store(",".join(numbers[:DELETED]), "+FLAGS.SILENT", r"(\Deleted)"))
            _ok(client.store(",".join(numbers[DELETED : DELETED + FLAGGED]), "+FLAGS.SILENT", r"(\Flagged)"))
            _ok(client.expunge())
            self._append(client, late)

    def number_in(self, folder: str) -> int:
        """Return how many messages the server has in *folder*."""
        with self._login() as client:
            answer = client.select(_quoted(folder), readonly=True)
            _ok(answer)
            return int(answer[1][0] or 0)

    def _login(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4(self._server.host, self._server.port, timeout=10)
        # imaplib sends a literal and its end apart; without this each append waits for a delayed acknowledgement.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(self._server.user, self._server.password)
        return client

    def _append(self, client: imaplib.IMAP4, messages: Sequence[DemoMessage]) -> None:
        for one in messages:
            date = imaplib.Time2Internaldate(one.internal_date)
            _ok(client.append(_quoted(one.folder), " ".join(sorted(one.flags)), date, one.octets))


def _quoted(folder: str) -> str:
    """Return *folder* as a quoted string (RFC 9051 §4.3); the demo's names are ASCII."""
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ok(answer: tuple[str, object]) -> None:
    """Stop the demo when its own server refuses a command of the demo."""
    if answer[0] != "OK":
        raise RuntimeError("the demo's mail server refused a command")
