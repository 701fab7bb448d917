"""``maildock account``: add, set, list, remove, test."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from store.mail import AccountId

from .. import ErrorKind, Login, Security
from .accounts_file import AccountEntry, AccountsFile
from .exits import ExitCode, Trouble, exit_of_result, hint_of
from .home import Home
from .output import count, hint, one_line, put, put_json, table
from .session import home_of, opened, unknown_account

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Add, change, list, remove and test accounts.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your own name of the account.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Host = Annotated[str | None, typer.Option(metavar="H", help="The IMAP server's name or address.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, metavar="P", help="Default: 993 with tls, else 143.")]
Safety = Annotated[
    Security | None,
    typer.Option("--security", help="How the line is protected. none: to loopback or --plaintext-host only."),
]
User = Annotated[str | None, typer.Option(metavar="U", help="The user's name on the server.")]
Mechanism = Annotated[Login | None, typer.Option("--login", help="How to log in; OAuth mechanisms take a token.")]
Variable = Annotated[
    str | None, typer.Option("--password-env", metavar="VAR", help="Environment variable that holds the password.")
]
Command = Annotated[
    str | None,
    typer.Option("--password-command", metavar="CMD", help="Program whose first line is the password; no shell."),
]
Authority = Annotated[
    Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust in place of the system's.")
]
Plaintext = Annotated[
    str | None,
    typer.Option("--plaintext-host", metavar="H", help="The one host for which --security none is meant."),
]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    host: Host = None,
    port: Port = None,
    security: Safety = None,
    user: User = None,
    login: Mechanism = None,
    password_env: Variable = None,
    password_command: Command = None,
    ca_file: Authority = None,
    plaintext_host: Plaintext = None,
    json: Json = False,
) -> None:
    """Add an account. The password itself is never stored: name a variable or a command that gives it."""
    if not host or not user:
        raise Trouble("An account needs --host and --user.", ExitCode.USAGE)
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    if file.find(name) is not None:
        raise Trouble(
            f"There is an account {name!r} already.", ExitCode.USAGE, f"Change it: maildock account set {name}"
        )
    if file.find_import(name) is not None:
        raise Trouble(f"{name!r} is the name of an import.", ExitCode.USAGE, "Choose another name.")
    said = _said(host, port, security, user, login, password_env, password_command, ca_file, plaintext_host)
    entry = AccountEntry.of(name, said)
    entry.account()
    home.prepare()
    file.with_account(entry).write(home.accounts_path)
    if json:
        put_json(_as_json(entry))
        return
    put(f"Added {name}. Try it: maildock account test {name}")
    if not entry.password_env and not entry.password_command:
        hint(hint_of(ErrorKind.CREDENTIALS_MISSING, name))


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    host: Host = None,
    port: Port = None,
    security: Safety = None,
    user: User = None,
    login: Mechanism = None,
    password_env: Variable = None,
    password_command: Command = None,
    ca_file: Authority = None,
    plaintext_host: Plaintext = None,
    json: Json = False,
) -> None:
    """Change an account: what is given replaces what was there. Its server may show anew what it can."""
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    entry = _known(file, name)
    said = _said(host, port, security, user, login, password_env, password_command, ca_file, plaintext_host)
    if not said:
        raise Trouble("Nothing to change was given.", ExitCode.USAGE, "maildock account set --help")
    if password_env and password_command:
        raise Trouble("--password-env and --password-command exclude each other.", ExitCode.USAGE)
    if password_env or password_command:  # a new source of the password takes the place of the old one
        said = {"password_env": "", "password_command": ""} | said
    entry = AccountEntry.of(name, entry.as_toml() | said)
    entry.account()
    file.with_account(entry).write(home.accounts_path)
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
        put("No accounts yet. Add one: maildock account add NAME --host H --user U --password-command CMD")
        return
    shown = [_as_json(entry) for entry in file.accounts]
    heads = ("account", "host", "port", "security", "user", "password")
    table(heads, [[one_line(str(row[head])) for head in heads] for row in shown], right=[2])


@app.command()
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Forget an account. Its mail stays in the store, to be read."""
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    if file.find_import(name) is None:
        _known(file, name)
    file.without(name).write(home.accounts_path)
    if json:
        put_json({"account": name, "removed": True})
    else:
        put(f"Removed {name}. Its mail stays in {home.store_path}, to be read.")


@app.command("test")
def try_out(context: typer.Context, name: Name, json: Json = False) -> int:
    """Connect, log in and list the folders; nothing is kept."""
    entry = _known(AccountsFile.read(home_of(context).accounts_path), name)
    account = entry.account()
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
            folders = len(view.folders(account.id))
    code = exit_of_result(result)
    if json:
        put_json({"account": name, "ok": code == ExitCode.COMPLETE, "folders": folders, "exit_code": int(code)})
    elif code == ExitCode.COMPLETE:
        put(f"{name}: logged in to {entry.host} as {one_line(entry.user)}; {count(folders, 'folder')}.")
    return code


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


def _said(
    host: str | None,
    port: int | None,
    security: Security | None,
    user: str | None,
    login: Login | None,
    password_env: str | None,
    password_command: str | None,
    ca_file: Path | None,
    plaintext_host: str | None,
) -> dict[str, object]:
    """Return the options that were given, by the names of ``AccountEntry``."""
    given: dict[str, object | None] = {
        "host": host,
        "port": port,
        "security": security.value if security else None,
        "user": user,
        "login": login.value if login else None,
        "password_env": password_env,
        "password_command": password_command,
        "ca_file": str(ca_file.expanduser().absolute()) if ca_file else None,
        "plaintext_host": plaintext_host,
    }
    return {name: value for name, value in given.items() if value is not None}


def _known(file: AccountsFile, name: str) -> AccountEntry:
    entry = file.find(name)
    if entry is None:
        raise unknown_account(name, [known.name for known in file.accounts])
    return entry


def _as_json(entry: AccountEntry) -> dict[str, object]:
    """Return *entry* for output. Of a password command only the program is shown: arguments may be private."""
    if entry.password_env:
        password = f"variable {entry.password_env}"
    elif entry.password_command:
        password = f"command {entry.password_command.split()[0]}"
    else:
        password = "none"
    return {
        "account": entry.name,
        "host": entry.host,
        "port": entry.port or (993 if entry.security == "tls" else 143),
        "security": entry.security,
        "user": entry.user,
        "login": entry.login,
        "password": password,
    }
