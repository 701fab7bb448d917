"""Which kind of account is spoken by which source. A source is imported when an account of its kind is first met."""

from importlib import import_module
from typing import cast

from ..account import Account
from ..errors import InvalidRequest
from .base import Source, SourceFactory

__all__ = ["KINDS", "source_of"]

KINDS = {
    "imap": ("imap.source", "imap_source"),
    "maildir": ("localfiles", "maildir_source"),
    "mbox": ("localfiles", "mbox_source"),
    "memory": ("memory", "memory_source"),
}
"""Kind of account: module below ``provider.sources``, and the factory in it."""


def source_of(account: Account) -> Source:
    """Return the source of *account*. Raises InvalidRequest for an unknown kind, or an account that lacks something."""
    try:
        module, name = KINDS[account.kind]
    except KeyError:
        raise InvalidRequest(
            f"Account {account.id} is of kind {account.kind}; known are {', '.join(sorted(KINDS))}."
        ) from None
    factory = cast(SourceFactory, getattr(import_module(f".{module}", __package__), name))
    return factory(account)
