"""What commands that change mail share: messages by what a person typed, one batch, and what is said of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .exits import ExitCode, Trouble
from .output import hint, put, put_json
from .session import message_key, opened

if TYPE_CHECKING:
    from store import Editing, Message, ReadView
    from store.mail import AccountId, MessageKey
    from store.mail.operations import Operation, OperationId

    from .home import Home

__all__ = ["account_of", "batch_rows", "editing", "found_messages", "put_batch", "sentence"]

SENT = "The next sync sends it."


@contextmanager
def editing(home: "Home", name: str) -> "Iterator[Editing]":
    """Open one batch of changes: on disk when this ends, or nothing of it.

    Raises Trouble for what makes no sense to the store, and what ``MailStore.edit`` raises.
    """
    with opened(home) as store:
        try:
            with store.edit(name) as batch:
                yield batch
        except ValueError as error:
            raise Trouble(sentence(error), ExitCode.USAGE) from error


def sentence(error: Exception) -> str:
    """Return what *error* says as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}." if text else "This makes no sense."


def found_messages(view: "ReadView", numbers: Sequence[int]) -> "tuple[Message, ...]":
    """Return the messages with these ids, each once, in the order given. Raises Trouble for one that can be none, and
    UnknownMessage."""
    return tuple(view.message(message_key(number)) for number in dict.fromkeys(numbers))


def account_of(messages: "Sequence[Message]") -> "AccountId":
    """Return the account of *messages*. Raises Trouble when they belong to several."""
    accounts = dict.fromkeys(message.account for message in messages)
    if len(accounts) != 1:
        raise Trouble(
            f"These messages belong to several accounts: {', '.join(accounts)}.",
            ExitCode.USAGE,
            "Mail stays within its account; name those of one account at a time.",
        )
    return next(iter(accounts))


def batch_rows(batch: "Editing", account: "AccountId") -> "tuple[Operation, ...]":
    """Return what *batch* has put into the log of *account* so far, in order."""
    return tuple(one for one in batch.view.operations(account) if one.batch == batch.batch)


def put_batch(
    verb: str,
    batch: int,
    operations: "Sequence[OperationId]",
    text: str,
    *,
    json: bool,
    nothing: str = "Nothing changed: it is so already.",
    messages: "Sequence[MessageKey]" = (),
    folder: str | None = None,
) -> None:
    """Say what a command did: *text*, and how it can be taken back; *nothing* where no operation came of it.

    A change that came to nothing may still be one: what was wanted before is taken back, and nothing is left to send.
    """
    if json:
        facts: dict[str, object] = {"verb": verb, "batch": batch if operations else None}
        facts["operations"] = list(operations)
        if messages:
            facts["messages"] = list(messages)
        if folder is not None:
            facts["folder"] = folder
        put_json(facts)
        return
    if not operations:
        put(nothing)
        return
    put(text)
    hint(f"{SENT} To take it back: maildock undo {batch}")
