"""``monitor_app``: Sync Center as an ASGI application. ``maildock monitor`` serves it; a host may mount it.

    from provider.monitor import monitor_app

    app.mount("/sync", monitor_app(store, provider, manager, token=secrets.token_urlsafe(32)))

Pages are read and forms are carried out on Starlette's worker threads: the host's loop never waits for the store.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from store import StoreError

from .. import ProviderError
from ..manager.control.desk import LocalDesk
from .actions import ACTIONS, Done
from .center import Center
from .forms import BadForm, Fields
from .guard import Guard, form_of, form_token_of, nonce_of
from .live import Live
from .pages import PAGES, NotThere, Page
from .planning import PLANS
from .rendering import STATIC, Rendering
from .words import SAID

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from store import MailStore

    from .. import MailStoreProvider
    from ..manager.control.desk import Desk
    from ..manager.manager import SyncManager

__all__ = ["monitor_app"]

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_SAID_AFTER = "said"
ASKED = ("name", "show")
"""What an address of a page may say that its live updates have to know."""


def monitor_app(
    store: "MailStore",
    provider: "MailStoreProvider",
    manager: "SyncManager",
    *,
    token: str,
    hosts: Collection[str] = (),
    desk: "Desk | None" = None,
    closing: Callable[[], bool] = lambda: False,
) -> "ASGIApp":
    """Return Sync Center of *store*, *provider* and *manager* as an ASGI application.

    *token*: what ``/enter?token=`` takes, 32 characters of chance at least; whoever has it governs everything. *hosts*:
    values of Host that are the host's own, beside the loopback's names. *desk*: what runs, where that is not (only) in
    this process. *closing*: tells that the server is about to end, so that live updates end, too.
    """
    seen = desk if desk is not None else LocalDesk(provider, manager)
    center = Center(store, seen, lambda: [account.id for account in provider.accounts])
    pages = _Pages(center, Live(closing))
    routes = [Route(f"/{name}", pages.static(name)) for name in STATIC]
    routes += [Route(page.path, pages.shown(page)) for page in PAGES]
    routes += [Route(f"/live/{page.name}", pages.listened(page)) for page in PAGES]
    routes += [Route(path, pages.done(act), methods=["POST"], name=path) for path, act in {**ACTIONS, **PLANS}.items()]
    inside = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: pages.refused,
            StoreError: pages.failed,
            ProviderError: pages.failed,
            Exception: pages.broken,
        },
    )
    return Guard(inside, token=token, hosts=hosts)


class _Pages:
    """The answers to requests that the guard let in."""

    def __init__(self, center: Center, live: Live) -> None:
        self._center = center
        self._live = live
        self._rendering = Rendering()

    def static(self, name: str) -> Callable[[Request], Response]:
        """Return the answer with one of our own files."""
        body, kind = STATIC[name], _TYPES[name.rpartition(".")[2]]
        return lambda request: Response(body, media_type=kind)

    def shown(self, page: Page) -> Callable[[Request], Response]:
        """Return the answer with a page."""

        def answer(request: Request) -> Response:
            return self._page(request, page, request.query_params)

        return answer

    def done(self, act: Callable[[Center, Fields], Done]) -> Callable[[Request], Response]:
        """Return the answer to a form: go on to a page (303), or that of the form again with what is wrong with it."""

        def answer(request: Request) -> Response:
            fields = Fields(form_of(request.scope))
            try:
                done = act(self._center, fields)
            except BadForm as error:
                return self._page(request, _page_of(request), {}, problem=str(error), given=fields.kept())
            mark = "&" if "?" in done.path else "?"
            return RedirectResponse(f"{_base(request)}{done.path}{mark}{_SAID_AFTER}={done.said}", status_code=303)

        return answer

    def listened(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Return the answer with the live updates of a page."""

        async def answer(request: Request) -> Response:
            if self._live.full:
                return Response("Too many pages listen.", status_code=503, media_type="text/plain")

            async def look() -> tuple[Mapping[str, str], bool]:
                return await run_in_threadpool(self._parts, request, page)

            return StreamingResponse(
                self._live.events(look), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
            )

        return answer

    def refused(self, request: Request, error: Exception) -> Response:
        """Answer where there is no page, or not for this method."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        title, text = (
            ("Not here", "There is no such page.") if status == 404 else ("Not like this", "This needs a form.")
        )
        return self._notice(request, title, text, status)

    def failed(self, request: Request, error: Exception) -> Response:
        """Answer where the store or the provider could not: its own sentence, which holds no secret."""
        return self._notice(request, "This did not work", str(error), 503)

    def broken(self, request: Request, _error: Exception) -> Response:
        """Answer where something unexpected happened: what it was is for the log of the server, not for a page."""
        return self._notice(request, "This did not work", "Something unexpected happened.", 500)

    # --- how -----------------------------------------------------------------------------------------------------

    def _page(
        self,
        request: Request,
        page: Page,
        query: Mapping[str, str],
        *,
        problem: str = "",
        given: Mapping[str, str] | None = None,
    ) -> Response:
        try:
            values = page.look(self._center, query)
        except NotThere:
            return self._notice(request, "Not here", "There is no such account.", 404)
        text = self._rendering.page(
            page,
            values,
            **self._around(request, page, given),
            nonce=nonce_of(request.scope),
            said=SAID.get(query.get(_SAID_AFTER, ""), ""),
            problem=problem,
            live=_live_path(request, page),
        )
        return HTMLResponse(text, status_code=400 if problem else 200)

    def _parts(self, request: Request, page: Page) -> tuple[Mapping[str, str], bool]:
        around = self._around(request, page)
        found = {"part-nav": self._rendering.part("nav", page, {}, **around)}
        if page.live:
            try:
                values = page.look(self._center, request.query_params)
            except NotThere:
                return found, False
            found |= {f"part-{name}": self._rendering.part(name, page, values, **around) for name in page.parts}
        return found, bool(self._center.desk.running())

    def _around(self, request: Request, page: Page, given: Mapping[str, str] | None = None) -> dict[str, object]:
        return {
            "base": _base(request),
            "form_token": form_token_of(request.scope),
            "counted": self._center.counted(),
            "here": page.of or page.name,
            "given": given or {},
        }

    def _notice(self, request: Request, title: str, text: str, status: int) -> Response:
        shown = self._rendering.notice(
            title,
            text,
            base=_base(request),
            nonce=nonce_of(request.scope),
            live="",
            here="",
        )
        return HTMLResponse(shown, status_code=status)


def _base(request: Request) -> str:
    """Return where the application is mounted; empty at the root."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _page_of(request: Request) -> Page:
    """Return the page that a form stands on."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    room = {"events": "results", "groups": "schedules"}.get(path.split("/")[1], path.split("/")[1])
    return next((page for page in PAGES if page.name == room), PAGES[0])


def _live_path(request: Request, page: Page) -> str:
    asked = {name: request.query_params[name] for name in ASKED if name in request.query_params}
    return f"{_base(request)}/live/{page.name}{'?' if asked else ''}{urlencode(asked)}"
