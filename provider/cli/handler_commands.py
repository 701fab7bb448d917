"""``maildock handlers`` and ``maildock policy``: what is kept in step, mail and plug-ins, and what may not be done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble
from .home import Home
from .options import Json
from .output import moment, one_line, put, put_json, table
from .session import home_of, opened

if TYPE_CHECKING:
    from ..manager import HandlerView, ItemView, Session, SyncCenter

__all__ = ["handlers", "policy"]

handlers = typer.Typer(help="What is kept in step: mail, and what plug-ins add.", invoke_without_command=True)
policy = typer.Typer(help="What people may not do with handlers and items, and why.", invoke_without_command=True)

Handler = Annotated[
    str, typer.Argument(metavar="HANDLER", help="A handler, by the id that `maildock handlers` prints.")
]
ItemArgument = Annotated[
    str | None, typer.Argument(metavar="ITEM", help="An item of it, by the id that `maildock handlers --items` prints.")
]
Item = Annotated[
    str, typer.Argument(metavar="ITEM", help="An item, by the id that `maildock handlers --items` prints.")
]
OfItem = Annotated[str | None, typer.Option("--item", metavar="ITEM", help="For this item of it only.")]
WELL = ("succeeded", "skipped", "removed")


@contextmanager
def _center(home: Home) -> "Iterator[SyncCenter]":
    """Open the store, and make a center of its accounts and of the plug-ins that are installed."""
    from .. import MailStoreProvider
    from ..manager import MAIL, HandlerRegistry, MailHandler, StoreBook, SyncCenter

    accounts = [one.account() for one in AccountsFile.read(home.accounts_path).accounts]
    with opened(home, create=True) as store, MailStoreProvider(store, accounts) as provider:
        registry = HandlerRegistry()
        registry.register(MAIL, lambda: MailHandler(store, provider))
        with SyncCenter(registry, book=StoreBook(store), prompter=_ask) as center:
            yield center


def _ask(question: str, secret: bool) -> str | None:
    if not sys.stdin.isatty():
        return None
    return str(typer.prompt(one_line(question), default="", hide_input=secret, show_default=False)) or None


@handlers.callback()
def list_handlers(
    context: typer.Context,
    items: Annotated[bool, typer.Option("--items", help="With their items.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are hidden.")] = False,
    json: Json = False,
) -> None:
    """List the handlers, and how they stand."""
    if context.invoked_subcommand is not None:
        return
    with _center(home_of(context)) as center:
        views = center.handlers(hidden=everything)
    rows: list[tuple[str, str, str, str, str]] = []
    for view in views:
        shown = [one for one in view.items if everything or not one.hidden]
        if json:
            put_json(_facts(view, shown if items else ()))
            continue
        rows.append((view.id, one_line(view.info.name), view.standing.value, moment(view.last_sync), _about(view)))
        for one in shown if items else ():
            comment = one_line(one.item.comment)
            rows.append((f"  {one.id}", one_line(one.item.name), one.standing.value, moment(one.last_sync), comment))
    if not json:
        table(("id", "name", "state", "in step", "about"), rows)


def _about(view: "HandlerView") -> str:
    return one_line(view.fault or view.info.comment)


@handlers.command("enable")
def enable(context: typer.Context, handler: Handler, item: ItemArgument = None) -> None:
    """Let a handler, or an item of it, be synchronized."""
    with _center(home_of(context)) as center:
        center.enable(handler, True, item)
    put(f"Enabled: {one_line(item or handler)}.")


@handlers.command("disable")
def disable(context: typer.Context, handler: Handler, item: ItemArgument = None) -> None:
    """Keep it in sight, and synchronize it no more."""
    with _center(home_of(context)) as center:
        center.enable(handler, False, item)
    put(f"Disabled: {one_line(item or handler)}.")


@handlers.command("activate")
def activate(context: typer.Context, handler: Handler) -> None:
    """Set a handler up here."""
    with _center(home_of(context)) as center:
        center.activate(handler, True)
    put(f"Active: {one_line(handler)}.")


@handlers.command("deactivate")
def deactivate(context: typer.Context, handler: Handler) -> None:
    """Let a handler be as if it were not installed."""
    with _center(home_of(context)) as center:
        center.activate(handler, False)
    put(f"Not active: {one_line(handler)}.")


@handlers.command("remove")
def remove(context: typer.Context, handler: Handler, item: Item) -> None:
    """Let an item leave the sync set; what is here of it stays."""
    with _center(home_of(context)) as center:
        center.remove(handler, item)
    put(f"Removed: {one_line(item)}; maildock handlers restore takes it back.")


@handlers.command("restore")
def restore(context: typer.Context, handler: Handler, item: Item) -> None:
    """Take an item back into the sync set."""
    with _center(home_of(context)) as center:
        center.restore(handler, item)
    put(f"Restored: {one_line(item)}.")


@handlers.command("start")
def start(
    context: typer.Context,
    handler: Annotated[str | None, typer.Argument(metavar="[HANDLER]", help="Which one; without it, all.")] = None,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM]...", help="Only these items of it; without them, all.")
    ] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Ask nothing; what needs an answer fails.")] = False,
    json: Json = False,
) -> None:
    """Synchronize handlers or items, and wait for it."""
    with _center(home_of(context)) as center:
        sessions = center.sync(handler, items or None, no_ui=no_ui)
        for session in sessions:
            _wait(session)
        bad = any(session.result is None or session.result.status.value not in WELL for session in sessions)
        for session in sessions:
            _put_session(center, session, json=json)
    if not sessions:
        put("There is nothing to do.")
    if bad:
        raise typer.Exit(ExitCode.ERRORS)


def _wait(session: "Session") -> None:
    try:
        session.wait()
    except KeyboardInterrupt:
        session.cancel()
        session.wait()


def _put_session(center: "SyncCenter", session: "Session", *, json: bool) -> None:
    from .. import Severity

    result = session.result
    assert result is not None, "it was waited for"
    if json:
        put_json(
            {
                "handler": session.handler,
                "result": result.status.value,
                "errors": result.errors,
                "conflicts": result.conflicts,
                "text": result.text,
                "items": [{"item": one.item, "status": one.status.value, "text": one.text} for one in result.items],
            }
        )
        return
    view = center.handler(session.handler)
    names = {one.id: one.item.name for one in view.items}
    put(f"{one_line(view.info.name)}: {result.status.value}{' - ' + one_line(result.text) if result.text else ''}")
    table(("item", "result"), [(one_line(names.get(one.item, one.item)), one.status.value) for one in result.items])
    if result.errors:
        for event in center.events(session.handler, level=Severity.ERROR):
            put(f"error: {one_line(event.name)}: {one_line(event.description)}")


@policy.callback()
def list_policies(context: typer.Context, json: Json = False) -> None:
    """List what may not be done, and why."""
    if context.invoked_subcommand is not None:
        return
    from ..manager import Verb

    with _center(home_of(context)) as center:
        views = center.handlers(hidden=True)
    rows = []
    for view in views:
        for item in (None, *view.items):
            for verb in Verb:
                offer = view.offer(verb, item)
                own = (view.rules if item is None else item.rules) and not offer.allowed
                if not own:
                    continue
                if json:
                    put_json(_refusal(view, item, verb.value, offer.reason))
                else:
                    rows.append((view.id, "-" if item is None else item.id, verb.value, one_line(offer.reason)))
    if not json:
        table(("handler", "item", "refused", "why"), rows)


@policy.command("refuse")
def refuse(
    context: typer.Context,
    handler: Handler,
    verbs: Annotated[list[str], typer.Argument(metavar="VERB...", help="start, stop, enable, disable, delete ...")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: people are told.")],
    item: OfItem = None,
) -> None:
    """Refuse people something, in place of what was refused before; schedules and triggers go on."""
    from ..manager import Verb
    from ..manager.masks import policy_bits

    mask = 0
    for word in verbs:
        verb = next((one for one in Verb if one.value == word), None)
        bits = None if verb is None else policy_bits(verb, item=item is not None)
        if bits is None:
            raise Trouble(f"There is no policy against {word!r} here.", ExitCode.USAGE, f"Verbs: {_verbs(item)}.")
        mask |= bits
    with _center(home_of(context)) as center:
        center.set_policy(handler, mask, reason, item)
    put(f"Refused for {one_line(item or handler)}: {', '.join(verbs)}.")


@policy.command("allow")
def allow(context: typer.Context, handler: Handler, item: OfItem = None) -> None:
    """Take back what `maildock policy refuse` said; what the handler itself refuses stays."""
    with _center(home_of(context)) as center:
        center.set_policy(handler, 0, item=item)
    put(f"Allowed: {one_line(item or handler)}.")


def _verbs(item: str | None) -> str:
    from ..manager import Verb
    from ..manager.masks import policy_bits

    return ", ".join(one.value for one in Verb if policy_bits(one, item=item is not None) is not None)


def _refusal(view: "HandlerView", item: "ItemView | None", verb: str, reason: str) -> dict[str, object]:
    return {"handler": view.id, "item": None if item is None else item.id, "refused": verb, "reason": reason}


def _facts(view: "HandlerView", items: "list[ItemView] | tuple[ItemView, ...]") -> dict[str, object]:
    facts: dict[str, object] = {
        "handler": view.id,
        "name": view.info.name,
        "type": view.info.kind.name.lower(),
        "state": view.standing.value,
        "active": view.active,
        "enabled": view.enabled,
        "connected": view.info.connected,
        "last_sync": None if view.last_sync is None else view.last_sync.isoformat(),
        "comment": view.info.comment,
        "fault": view.fault,
    }
    if items:
        facts["items"] = [
            {
                "item": one.id,
                "name": one.item.name,
                "type": one.item.type_label,
                "state": one.standing.value,
                "enabled": one.enabled,
                "last_sync": None if one.last_sync is None else one.last_sync.isoformat(),
                "comment": one.item.comment,
            }
            for one in items
        ]
    return facts
