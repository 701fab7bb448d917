"""The settings of an account as options: declared once, taken by every command that adds or changes one.

``@with_account_options`` gives a command all fields of ``AccountOptions`` as options of its own; the command itself
has one parameter, ``options``, for the value made of them.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from .. import Login, Security, SentCopies

__all__ = ["AccountOptions", "VaultKind", "with_account_options"]


class VaultKind(Enum):
    """Vaults of the command line."""

    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """What was said of an account; None: not said."""

    host: Annotated[str | None, typer.Option(metavar="H", help="The IMAP server's name or address.")] = None
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="P", help="Default: 993 with tls, else 143.")
    ] = None
    security: Annotated[
        Security | None,
        typer.Option("--security", help="How the line is protected. none: to loopback or --plaintext-host only."),
    ] = None
    user: Annotated[str | None, typer.Option(metavar="U", help="The user's name on the server.")] = None
    login: Annotated[Login | None, typer.Option("--login", help="How to log in; OAuth mechanisms take a token.")] = None
    password_env: Annotated[
        str | None, typer.Option("--password-env", metavar="VAR", help="Environment variable that holds the password.")
    ] = None
    password_command: Annotated[
        str | None,
        typer.Option("--password-command", metavar="CMD", help="Program whose first line is the password; no shell."),
    ] = None
    vault: Annotated[
        VaultKind | None,
        typer.Option(
            "--vault",
            help="Where account login keeps secrets: the system's keyring, or a file of yours, not encrypted.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust in place of the system's.")
    ] = None
    plaintext_host: Annotated[
        str | None,
        typer.Option("--plaintext-host", metavar="H", help="The one host for which --security none is meant."),
    ] = None
    smtp_host: Annotated[
        str | None, typer.Option("--smtp-host", metavar="H", help="The server that takes mail to be sent.")
    ] = None
    smtp_port: Annotated[
        int | None,
        typer.Option("--smtp-port", min=1, max=65535, metavar="P", help="Default: 465 with tls, else 587."),
    ] = None
    smtp_security: Annotated[
        Security | None, typer.Option("--smtp-security", help="How the line to it is protected.")
    ] = None
    smtp_user: Annotated[
        str | None, typer.Option("--smtp-user", metavar="U", help="The user's name there, if it is another one.")
    ] = None
    smtp_login: Annotated[
        Login | None, typer.Option("--smtp-login", help="How to log in there, if it is another way.")
    ] = None
    smtp_authenticate: Annotated[
        bool | None,
        typer.Option("--smtp-auth/--no-smtp-auth", help="Whether to log in there; a relay may know us by our address."),
    ] = None
    sent_copies: Annotated[
        SentCopies | None, typer.Option("--sent-copies", help="Who puts a copy of what was sent into Sent.")
    ] = None
    oauth: Annotated[
        str | None,
        typer.Option("--oauth", metavar="PROVIDER", help="Sign in there with OAuth: google, microsoft, yahoo ..."),
    ] = None
    client_id: Annotated[
        str | None,
        typer.Option("--client-id", metavar="ID", help="The OAuth client that you registered with the provider."),
    ] = None

    def said(self) -> dict[str, object]:
        """Return what was said, by the names of ``AccountEntry``: its own, and those of its parts."""
        mine: dict[str, object] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None:
                continue
            if isinstance(value, Enum):
                value = value.value
            elif isinstance(value, Path):
                value = str(value.expanduser().absolute())
            part, name = PARTS.get(one.name, ("", one.name))
            if part:
                inner = mine.setdefault(part, {})
                assert isinstance(inner, dict)
                inner[name] = value
            else:
                mine[name] = value
        return mine


PARTS = {
    "sent_copies": ("smtp", "sent_copies"),
    "oauth": ("oauth", "provider"),
    "client_id": ("oauth", "client_id"),
} | {
    one.name: ("smtp", one.name.removeprefix("smtp_")) for one in fields(AccountOptions) if one.name.startswith("smtp_")
}
"""Options that belong to a part of the entry: which, and under what name there."""


Result = TypeVar("Result")


def with_account_options(run: Callable[..., Result]) -> Callable[..., Result]:
    """Return the command *run* with all of ``AccountOptions`` in the place of its parameter ``options``."""
    kinds = get_type_hints(AccountOptions, include_extras=True)
    options = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=kinds[one.name])
        for one in fields(AccountOptions)
    ]
    parameters = []
    for parameter in inspect.signature(run).parameters.values():
        parameters += (
            options if parameter.name == "options" else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        )

    @wraps(run)
    def command(**given: Any) -> Result:
        chosen = {name: given.pop(name) for name in kinds}
        return run(**given, options=AccountOptions(**chosen))

    # What the command line is made from.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
