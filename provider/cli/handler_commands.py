"""``maildock handlers`` and ``maildock policy``: what is kept in step, mail and plug-ins, and what may not be done.

Beside a daemon its handlers are asked; else those of this process.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from .accounts_file import AccountsFile
from .beside import ALONE, GONE_SECONDS, desk_of
from .exits import ExitCode, Trouble
from .home import Home
from .options import Json
from .output import hint, moment, one_line, put, put_json, table
from .session import home_of, opened

if TYPE_CHECKING:
    from store import MailStore

    from .. import MailStoreProvider
    from ..manager import SyncCenter
    from ..manager.control.handler_desk import Facts, HandlerDesk, HandlerRun
    from ..manager.handlers.reporting import Prompter

__all__ = ["center_of", "handlers", "policy"]

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
SomeHandler = Annotated[str | None, typer.Argument(metavar="[HANDLER]", help="Which one; without it, all.")]
SomeItems = Annotated[
    list[str] | None, typer.Argument(metavar="[ITEM]...", help="Only these items of it; without them, all.")
]
OfItem = Annotated[str | None, typer.Option("--item", metavar="ITEM", help="For this item of it only.")]
T = TypeVar("T")
WELL = ("succeeded", "skipped", "removed")


def center_of(store: "MailStore", provider: "MailStoreProvider", prompter: "Prompter | None" = None) -> "SyncCenter":
    """Return a center of mail and of the plug-ins that are installed. *prompter* None: nobody can be asked."""
    from ..manager import MAIL, HandlerRegistry, MailHandler, StoreBook, SyncCenter

    registry = HandlerRegistry()
    registry.register(MAIL, lambda: MailHandler(store, provider))
    return SyncCenter(registry, book=StoreBook(store), prompter=prompter)


def _governed(home: Home, act: "Callable[[HandlerDesk], T]") -> T:
    """Do *act* with the handlers of the daemon, where there is one; else with ours, and our accounts."""
    from .. import UnknownItem

    try:
        return _beside_or_alone(home, act)
    except UnknownItem as error:
        raise Trouble(str(error), ExitCode.USAGE, "maildock handlers --items --all shows what there is.") from None


def _beside_or_alone(home: Home, act: "Callable[[HandlerDesk], T]") -> T:
    from .. import MailStoreProvider
    from ..manager.control.client import DaemonGone
    from ..manager.control.handler_desk import LocalHandlers
    from ..manager.control.remote_handlers import RemoteHandlers

    accounts = [one.account() for one in AccountsFile.read(home.accounts_path).accounts]
    with opened(home, create=True) as store:
        desk = desk_of(store)
        if desk is not None:
            with suppress(FileNotFoundError):  # it ended between two of our questions
                try:
                    return act(RemoteHandlers(desk))
                except DaemonGone as error:
                    hint(f"maildock: {error} {ALONE}")
                    desk.wait_gone(GONE_SECONDS)
        with MailStoreProvider(store, accounts) as provider, center_of(store, provider, _ask) as center:
            return act(LocalHandlers(center))


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
    found = _governed(home_of(context), lambda desk: desk.handlers())
    rows: list[tuple[str, str, str, str, str]] = []
    for one in found:
        if one["hidden"] and not everything:
            continue
        shown = [item for item in _list(one["items"]) if everything or not item["hidden"]] if items else []
        if json:
            put_json({**one, "items": shown} if items else {key: one[key] for key in one if key != "items"})
            continue
        rows.append((str(one["handler"]), *_row(one)))
        rows += [(f"  {item['item']}", *_row(item)) for item in shown]
    if not json:
        table(("id", "name", "state", "in step", "about"), rows)


def _row(one: "Facts") -> tuple[str, str, str, str]:
    at = one["last_sync"]
    since = moment(None if at is None else datetime.fromisoformat(str(at)))
    return one_line(str(one["name"])), str(one["state"]), since, one_line(str(one.get("fault") or one["comment"]))


def _list(value: object) -> "list[Facts]":
    return value if isinstance(value, list) else []


def _tell(context: typer.Context, verb: str, handler: str | None, items: Sequence[str], said: str, json: bool) -> None:
    _governed(home_of(context), lambda desk: desk.tell(verb, handler, items))
    if json:
        put_json({"verb": verb, "handler": handler, "items": list(items)})
    else:
        put(said.format(one_line(", ".join(items) or handler or "all")))


def _items(item: str | None) -> tuple[str, ...]:
    return () if item is None else (item,)


@handlers.command("enable")
def enable(context: typer.Context, handler: Handler, item: ItemArgument = None, json: Json = False) -> None:
    """Let a handler, or an item of it, be synchronized."""
    _tell(context, "enable", handler, _items(item), "Enabled: {}.", json)


@handlers.command("disable")
def disable(context: typer.Context, handler: Handler, item: ItemArgument = None, json: Json = False) -> None:
    """Keep it in sight, and synchronize it no more."""
    _tell(context, "disable", handler, _items(item), "Disabled: {}.", json)


@handlers.command("activate")
def activate(context: typer.Context, handler: Handler, json: Json = False) -> None:
    """Set a handler up here."""
    _tell(context, "activate", handler, (), "Active: {}.", json)


@handlers.command("deactivate")
def deactivate(context: typer.Context, handler: Handler, json: Json = False) -> None:
    """Let a handler be as if it were not installed."""
    _tell(context, "deactivate", handler, (), "Not active: {}.", json)


@handlers.command("remove")
def remove(context: typer.Context, handler: Handler, item: Item, json: Json = False) -> None:
    """Let an item leave the sync set; what is here of it stays."""
    _tell(context, "remove", handler, (item,), "Removed: {}; maildock handlers restore takes it back.", json)


@handlers.command("restore")
def restore(context: typer.Context, handler: Handler, item: Item, json: Json = False) -> None:
    """Take an item back into the sync set."""
    _tell(context, "restore", handler, (item,), "Restored: {}.", json)


@handlers.command("refresh")
def refresh(context: typer.Context, handler: SomeHandler = None, json: Json = False) -> None:
    """Let handlers say anew what they are and have."""
    _tell(context, "refresh", handler, (), "Refreshed: {}.", json)


@handlers.command("stop")
def stop(context: typer.Context, handler: SomeHandler = None, items: SomeItems = None, json: Json = False) -> None:
    """Stop sessions of the daemon; what has arrived is kept."""
    with opened(home_of(context), create=True) as store:
        if desk_of(store) is None:
            raise Trouble("There is no daemon to be told.", ExitCode.ERRORS, "A start in a terminal ends by Ctrl-C.")
    _tell(context, "stop", handler, tuple(items or ()), "Asked to stop: {}.", json)


@handlers.command("start")
def start(
    context: typer.Context,
    handler: SomeHandler = None,
    items: SomeItems = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Ask nothing; what needs an answer fails.")] = False,
    json: Json = False,
) -> None:
    """Synchronize handlers or items, and wait for it. Beside a daemon nothing is asked."""
    sessions = _governed(home_of(context), lambda desk: _waited(desk.start(handler, tuple(items or ()), no_ui=no_ui)))
    for session in sessions:
        _put_session(session, json=json)
    if not sessions:
        put("There is nothing to do.")
    if any(session["result"] not in WELL for session in sessions):
        raise typer.Exit(ExitCode.ERRORS)


def _waited(run: "HandlerRun") -> "list[Facts]":
    try:
        return run.wait()
    except KeyboardInterrupt:
        run.cancel()
        return run.wait()


def _put_session(session: "Facts", *, json: bool) -> None:
    if json:
        put_json({key: session[key] for key in session if key not in ("name", "names", "told")})
        return
    names, text = session["names"], str(session["text"])
    assert isinstance(names, dict), "it was made by us, on the one side or the other"
    put(f"{one_line(str(session['name']))}: {session['result']}{' - ' + one_line(text) if text else ''}")
    rows = [(one_line(str(names.get(one["item"], one["item"]))), str(one["status"])) for one in _list(session["items"])]
    table(("item", "result"), rows)
    for event in _list(session["told"]):
        put(f"error: {one_line(str(event['name']))}: {one_line(str(event['text']))}")


@policy.callback()
def list_policies(context: typer.Context, json: Json = False) -> None:
    """List what may not be done, and why."""
    if context.invoked_subcommand is not None:
        return
    rows = []
    for view in _governed(home_of(context), lambda desk: desk.handlers()):
        for one in (view, *_list(view["items"])):
            refused = one["refused"]
            for verb, reason in refused.items() if isinstance(refused, dict) else ():
                item = one.get("item")
                if json:
                    put_json({"handler": view["handler"], "item": item, "refused": verb, "reason": reason})
                else:
                    rows.append((str(view["handler"]), str(item or "-"), str(verb), one_line(str(reason))))
    if not json:
        table(("handler", "item", "refused", "why"), rows)


@policy.command("refuse")
def refuse(
    context: typer.Context,
    handler: Handler,
    verbs: Annotated[list[str], typer.Argument(metavar="VERB...", help="start, stop, enable, disable, delete ...")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: people are told.")],
    item: OfItem = None,
    json: Json = False,
) -> None:
    """Refuse people something, in place of what was refused before; schedules and triggers go on."""
    from ..manager import Verb
    from ..manager.handlers.masks import policy_bits

    mask = 0
    for word in verbs:
        verb = next((one for one in Verb if one.value == word), None)
        bits = None if verb is None else policy_bits(verb, item=item is not None)
        if bits is None:
            raise Trouble(f"There is no policy against {word!r} here.", ExitCode.USAGE, f"Verbs: {_verbs(item)}.")
        mask |= bits
    _govern(context, handler, mask, reason, item)
    if json:
        put_json({"verb": "refuse", "handler": handler, "item": item, "refused": verbs, "reason": reason})
    else:
        put(f"Refused for {one_line(item or handler)}: {', '.join(verbs)}.")


@policy.command("allow")
def allow(context: typer.Context, handler: Handler, item: OfItem = None, json: Json = False) -> None:
    """Take back what `maildock policy refuse` said; what the handler itself refuses stays."""
    _govern(context, handler, 0, "", item)
    if json:
        put_json({"verb": "allow", "handler": handler, "item": item})
    else:
        put(f"Allowed: {one_line(item or handler)}.")


def _govern(context: typer.Context, handler: str, mask: int, reason: str, item: str | None) -> None:
    _governed(home_of(context), lambda desk: desk.set_policy(handler, int(mask), reason, item))


def _verbs(item: str | None) -> str:
    from ..manager import Verb
    from ..manager.handlers.masks import policy_bits

    return ", ".join(one.value for one in Verb if policy_bits(one, item=item is not None) is not None)
