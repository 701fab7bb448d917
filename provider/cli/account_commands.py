"""``maildock account``: add, set, list, remove, test; and login, which has a file of its own."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from store.mail import AccountId

from .. import Account, ErrorKind, ProviderError
from .account_entry import AccountEntry
from .account_login import forget, login
from .account_options import AccountOptions, with_account_options
from .account_search import after_adding, as_said, find_and_confirm
from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble, exit_of_kinds, exit_of_result, hint_of
from .home import Home
from .output import count, hint, one_line, put, put_json, table
from .session import home_of, known_entry, opened

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Add, change, list, remove and test accounts.")
app.command("login")(login)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your own name of the account.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Take what was found without asking.")]
Given = Annotated[
    str, typer.Argument(metavar="NAME|ADDRESS", help="Your own name of the account, or a mail address to look up.")
]
OwnName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Your own name, if not the address.")]


@app.command()
@with_account_options
def add(
    context: typer.Context,
    given: Given,
    options: AccountOptions,
    name: OwnName = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Add an account: by its mail address alone where its servers can be found, or by --host and --user.

    No password is stored: account login keeps one in a vault, or name a variable or a command that gives it.
    """
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    name = name or given
    if file.find(name) is not None:
        raise Trouble(
            f"There is an account {name!r} already.", ExitCode.USAGE, f"Change it: maildock account set {name}"
        )
    if file.find_import(name) is not None:
        raise Trouble(f"{name!r} is the name of an import.", ExitCode.USAGE, "Choose another name.")
    found = None
    if "@" in given and not options.host:
        found = find_and_confirm(given, ca_file=options.ca_file, yes=yes)
    elif not options.host or not options.user:
        raise Trouble(
            "An account needs --host and --user.",
            ExitCode.USAGE,
            "Or give its address: maildock account add me@example.org",
        )
    entry = _changed(AccountEntry(name=name, place=home.path), as_said(found) if found else {}, options.said())
    home.prepare()
    file.with_account(entry).write(home.accounts_path)
    if json:
        put_json(_as_json(entry) | ({"found": found.how.value, "where": found.where} if found else {}))
        return
    put(f"Added {name}. Try it: maildock account test {name}")
    if entry.password_env or entry.password_command:
        return
    if found and not yes and (entry.uses_oauth or found.password):  # somebody is there: it was they who agreed
        login(context, name, options.vault)
    else:
        hint(after_adding(name, found) if found else hint_of(ErrorKind.CREDENTIALS_MISSING, name))


@app.command("set")
@with_account_options
def set_(context: typer.Context, name: Name, options: AccountOptions, json: Json = False) -> None:
    """Change an account: what is given replaces what was there. Its server may show anew what it can."""
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    entry = known_entry(file, name)
    said = options.said()
    if not said:
        raise Trouble("Nothing to change was given.", ExitCode.USAGE, "maildock account set --help")
    if options.password_env and options.password_command:
        raise Trouble("--password-env and --password-command exclude each other.", ExitCode.USAGE)
    before, entry = entry, _changed(entry, said)
    file.with_account(entry).write(home.accounts_path)
    if entry.vault != before.vault:
        forget(before)
    _try_two_connections_again(home, name)
    if json:
        put_json(_as_json(entry))
    else:
        put(f"Changed {name}.")


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the accounts: where they are and where their passwords come from."""
    file = AccountsFile.read(home_of(context).accounts_path)
    if json:
        for entry in file.accounts:
            put_json(_as_json(entry))
        return
    if not file.accounts:
        put("No accounts yet. Add one: maildock account add me@example.org")
        return
    shown = [_as_json(entry) for entry in file.accounts]
    heads = ("account", "host", "port", "security", "user", "password")
    table(heads, [[one_line(str(row[head])) for head in heads] for row in shown], right=[2])


@app.command()
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Forget an account and its secrets. Its mail stays in the store, to be read."""
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    entry = None if file.find_import(name) else known_entry(file, name)
    file.without(name).write(home.accounts_path)
    if entry is not None:
        forget(entry)
    _clear(home, AccountId(name))
    if json:
        put_json({"account": name, "removed": True})
    else:
        put(f"Removed {name}. Its mail stays in {home.store_path}, to be read.")


def _clear(home: "Home", account: AccountId) -> None:
    """Forget what is wrong with an account that is no more: no success would ever clear it.

    What its outbox could not deliver stays: that is a person's to clear.
    """
    from store import StoreMissing

    with suppress(StoreMissing), opened(home) as store:
        lasting = store.eventlog.entries(account=account, open=True, limit=10_000)
        store.eventlog.remove([one.id for one in lasting if one.item != "outbox"])


@app.command("test")
def try_out(context: typer.Context, name: Name, json: Json = False) -> int:
    """Connect, log in and list the folders, and log in where mail goes out; nothing is kept, nothing is sent."""
    entry = known_entry(AccountsFile.read(home_of(context).accounts_path), name)
    account = entry.account()
    folders, code = _imap_tried(account)
    told: dict[str, object] = {"account": name, "folders": folders}
    if code == ExitCode.COMPLETE and not json:
        put(f"{name}: logged in to {entry.host} as {one_line(entry.user)}; {count(folders, 'folder')}.")
    if account.smtp is not None:
        failure = _smtp_tried(account)
        told["smtp"] = "ok" if failure is None else failure.kind.value
        if failure is None and not json:
            put(f"{name}: {account.smtp.host} takes mail to be sent.")
        if failure is not None and code == ExitCode.COMPLETE:
            code = exit_of_kinds([failure.kind])
    if json:
        put_json(told | {"ok": code == ExitCode.COMPLETE, "exit_code": int(code)})
    return code


def _smtp_tried(account: Account) -> ProviderError | None:
    """Log in to the submission server of *account*; return what is wrong, after telling it."""
    from .. import try_way_out

    try:
        try_way_out(account)
    except ProviderError as error:
        hint(f"maildock: {account.id}: {one_line(str(error))}")
        if helps := hint_of(error.kind, account.id):
            hint(f"  {helps}")
        return error
    return None


def _imap_tried(account: Account) -> tuple[int, ExitCode]:
    """Log in to the IMAP server of *account*; return how many folders there are, and how that ended."""
    from store import open_store

    from .. import MailStoreProvider, SyncFlags, SyncRequest
    from .running import wait_for
    from .sync_display import ErrorsToStderr

    told = ErrorsToStderr()
    with (
        TemporaryDirectory(prefix="maildock-test-") as place,
        open_store(Path(place) / "mail.db") as store,
        MailStoreProvider(store, [account]) as provider,
    ):
        request = SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_HIERARCHY, callback=told)
        result = wait_for(provider.SynchronizeInBackground(request))
        told.close(result)
        with store.read() as view:
            return len(view.folders(account.id)), exit_of_result(result)


def _changed(entry: AccountEntry, *said: Mapping[str, object]) -> AccountEntry:
    """Return *entry* with what was said, one after the other. Raises Trouble when that cannot work."""
    for one in said:
        try:
            entry = entry.with_said(one)
        except ValueError as error:
            raise Trouble(f"That cannot be: {error}.", ExitCode.USAGE) from None
    entry.account()
    return entry


def _try_two_connections_again(home: Home, name: str) -> None:
    """Forget that the account's server took one connection only: it may be another server now, or another limit."""
    if not home.store_path.exists():
        return
    from store import StoreError

    # The account is set already; what is wrong with the store, other commands say.
    with suppress(Trouble, StoreError), opened(home) as store:
        with store.read() as view:
            known = view.one_connection(AccountId(name))
        if known:
            with store.write("set anew") as tx:
                tx.set_one_connection(AccountId(name), "")


def _as_json(entry: AccountEntry) -> dict[str, object]:
    """Return *entry* for output. Of a password command only the program is shown: arguments may be private."""
    if entry.password_env:
        password = f"variable {entry.password_env}"
    elif entry.password_command:
        password = f"command {entry.password_command.split()[0]}"
    elif entry.vault:
        password = f"{'sign-in' if entry.uses_oauth else 'password'} in the vault {entry.vault}"
    else:
        password = "none"
    way_out = {
        "smtp_host": entry.smtp.host,
        "smtp_port": entry.smtp.port or (465 if entry.smtp.security in ("", "tls") else 587),
        "smtp_security": entry.smtp.security or "tls",
        "sent_copies": entry.smtp.sent_copies or "auto",
    }
    return {
        "account": entry.name,
        "host": entry.host,
        "port": entry.port or (993 if entry.security == "tls" else 143),
        "security": entry.security,
        "user": entry.user,
        "login": entry.login,
        "password": password,
        **(way_out if entry.smtp.host else {}),
        **({"oauth": entry.oauth.provider or entry.oauth.token_url} if entry.oauth.client_id else {}),
    }
