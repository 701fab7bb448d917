"""``account add ADDRESS``: what was found is shown, and used when a person agrees or ``--yes`` was said."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .exits import ExitCode, Trouble
from .output import hint, one_line

if TYPE_CHECKING:
    from .. import Found, FoundServer

__all__ = ["after_adding", "as_said", "find_and_confirm"]

BY_HAND = "Say it by hand: maildock account add {address} --host H --user U"
HOW = {
    "table": "known here",
    "domain": "said by the domain itself",
    "well-known": "said by the domain's web server",
    "ispdb": "said by Thunderbird's collection",
    "mx": "by who takes the domain's mail",
    "srv": "said by the domain's DNS",
    "guess": "guessed; the servers prove their names",
}


def find_and_confirm(address: str, *, ca_file: Path | None, yes: bool) -> "Found":
    """Return servers for *address* that a person agreed to. Raises Trouble when none are found, or nobody agrees."""
    by_hand = BY_HAND.format(address=address)
    from .. import find_servers  # it brings TLS along: only when it is needed

    search = find_servers(address, ca_file=ca_file)
    found = search.found
    if found is None:
        for tried in search.tried:
            hint(f"  {tried.how.value}: {one_line(tried.text)}")
        raise Trouble(f"The servers of {address} could not be found.", ExitCode.ERRORS, by_hand)
    hint(f"{one_line(found.name) or address} ({HOW[found.how.value]}, {found.where}):")
    for kind, server in (("IMAP", found.imap), ("SMTP", found.smtp)):
        if server is not None:
            hint(f"  {kind}  {_shown(server)}")
    if found.hint:
        hint(f"  {found.hint}")
    if yes and found.certain:
        return found
    if not found.certain:
        hint("  Only DNS led to these hosts of another domain, which anybody on the way may have forged.")
    if yes or not sys.stdin.isatty():
        what = "Nobody can be asked whether that is right." if not yes else "--yes does not agree to that."
        helps = "Say --yes to take it." if not yes and found.certain else by_hand
        raise Trouble(what, ExitCode.USAGE, helps)
    if not typer.confirm("Use these?", err=True):
        raise Trouble("Nothing was added.", ExitCode.USAGE, by_hand)
    return found


def _shown(server: "FoundServer") -> str:
    return f"{server.host}:{server.port} ({server.security.value}), as {one_line(server.user)}"


def as_said(found: "Found") -> dict[str, object]:
    """Return what was found by the names of ``AccountEntry``."""
    said: dict[str, object] = {
        "host": found.imap.host,
        "port": found.imap.port,
        "security": found.imap.security.value,
        "user": found.imap.user,
    }
    if found.smtp is not None:
        said["smtp"] = {
            "host": found.smtp.host,
            "port": found.smtp.port,
            "security": found.smtp.security.value,
            "user": found.smtp.user if found.smtp.user != found.imap.user else "",
            "sent_copies": found.sent_copies.value,
        }
    return said | ({"oauth": {"provider": found.oauth}} if found.oauth else {})


def after_adding(name: str, found: "Found") -> str:
    """Return what has to be done next for an account that was found."""
    if found.oauth and not found.password:
        return (
            f"It signs in with OAuth, for which you need a client id of your own (docs/accounts.md): "
            f"maildock account set {name} --client-id ID; then: maildock account login {name}"
        )
    return f"Its password goes into a vault: maildock account login {name}"
