"""``maildock account login``: a password, or a sign-in at the provider, into the account's vault."""

import os
import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from store.mail import AccountId

from .. import ProviderError
from .account_entry import AccountEntry
from .account_options import VaultKind
from .accounts_file import AccountsFile
from .credentials import CLIENT_SECRET, stdin_password, vault_in
from .exits import ExitCode, Trouble
from .output import hint, put, put_json
from .session import home_of, known_entry

if TYPE_CHECKING:
    from .. import Grant, HttpClient, OAuthClient, Vault

__all__ = ["forget", "login"]

PASSWORD, OAUTH = "password", "oauth"
"""The names of secrets in a vault."""


def login(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Your own name of the account.")],
    vault: Annotated[
        VaultKind | None,
        typer.Option("--vault", help="Where it is kept: the system's keyring, or a file of yours, not encrypted."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    device: Annotated[
        bool, typer.Option("--device", help="OAuth: show a code to type in on another device, and open no browser.")
    ] = False,
    client_secret_env: Annotated[
        str | None,
        typer.Option(
            "--client-secret-env", metavar="VAR", help="Variable with the OAuth client's secret, if it has one."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Keep the account's password in a vault; or sign in at its provider, where it has an OAuth client."""
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    entry = known_entry(file, name)
    kind = vault.value if vault else entry.vault or VaultKind.KEYRING.value
    before, entry = entry, entry.with_said({"vault": kind})  # in the place of a variable or a command
    entry.account()  # or it cannot work
    kept_in = vault_in(home.path, kind)
    home.prepare()
    if client_secret_env and not os.environ.get(client_secret_env):
        raise Trouble(f"The variable {client_secret_env} is not set.", ExitCode.USAGE)
    if entry.uses_oauth and not password_stdin:
        _signed_in(entry, kept_in, os.environ.get(client_secret_env or "", ""), device=device, json=json)
        what = "sign-in"
    elif device or client_secret_env:
        raise Trouble(
            f"Account {name} has no OAuth client.",
            ExitCode.USAGE,
            f"maildock account set {name} --oauth PROVIDER --client-id ID",
        )
    else:
        kept_in.put(name, PASSWORD, stdin_password())
        if entry.uses_oauth:  # a password was meant, so that is how it logs in from now on
            entry = entry.with_said({"oauth": {"client_id": ""}, "login": "auto"})
        what = "password"
    if before.vault not in ("", kind):
        forget(before)
    # Signing in takes minutes: what was written meanwhile stays.
    AccountsFile.read(home.accounts_path).with_account(entry).write(home.accounts_path)
    if json:
        put_json({"account": name, "kept": what, "vault": kind})
    else:
        put(f"The {what} of {name} is in the vault ({kind}). Try it: maildock account test {name}")


def forget(entry: AccountEntry) -> None:
    """Remove an account's secrets from its vault. A vault that cannot be used is told of and keeps them."""
    if not entry.vault:
        return
    try:
        for secret in (PASSWORD, OAUTH, CLIENT_SECRET):
            entry.kept_in().delete(entry.name, secret)
    except (ProviderError, ValueError):
        hint(f"The secrets of {entry.name} could not be removed from the vault {entry.vault}.")


def _signed_in(entry: AccountEntry, vault: "Vault", secret: str, *, device: bool, json: bool) -> None:
    """Let a person sign in, and keep what comes of it."""
    from .. import HttpClient

    if secret:
        vault.put(entry.name, CLIENT_SECRET, secret)
    sign_in = entry.sign_in()
    credentials = sign_in.credentials(entry.name)
    client = entry.oauth.client(vault.get(entry.name, CLIENT_SECRET) or "")
    http = HttpClient(sign_in.ca_file)
    grant = _by_device(client, http, json=json) if device else _by_browser(client, http, entry.user, json=json)
    credentials.keep(AccountId(entry.name), grant)


def _by_browser(client: "OAuthClient", http: "HttpClient", user: str, *, json: bool) -> "Grant":
    from .. import sign_in_with_browser

    def show(url: str) -> None:
        if json:
            put_json({"open": url})
        else:
            hint(f"Sign in with your browser: {url}")
        if sys.stdin.isatty():
            webbrowser.open(url)

    return sign_in_with_browser(client, http, show, user=user)


def _by_device(client: "OAuthClient", http: "HttpClient", *, json: bool) -> "Grant":
    from .. import SystemClock, begin_device_sign_in, finish_device_sign_in

    begun = begin_device_sign_in(client, http)
    if json:
        put_json({"open": begun.address, "code": begun.user_code})
    else:
        hint(f"Open {begun.address} on any device, and type in: {begun.user_code}")
    return finish_device_sign_in(client, http, begun, SystemClock(), time.sleep)
