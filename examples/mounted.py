"""Sync Center inside a web application of your own (Starlette, FastAPI, anything that mounts ASGI).

Whoever has the token governs everything, so the host gives it to whom it trusts: here, to nobody but itself. It asks
itself for pages, as a browser would, so that this example ends; a real host ends with uvicorn.run(app).
"""

import asyncio
import re
import secrets

import httpx2
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from provider import MailStoreProvider
from provider.manager.manager import SyncManager
from provider.monitor import monitor_app
from provider.testing import MemoryServer
from store import open_store

TOKEN = secrets.token_urlsafe(32)
server = MemoryServer()
server.append("INBOX", b"From: Ann <ann@example.org>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n")


async def ask(app: Starlette) -> None:
    where = "http://mail.example.org"
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=where) as browser:
        print("the host's own page:", (await browser.get("/")).status_code)
        print("Sync Center without its token:", (await browser.get("/sync/")).status_code)
        await browser.get(f"/sync/enter?token={TOKEN}")  # the cookie comes for the token
        page = await browser.get("/sync/")
        print("Sync Center:", page.status_code)
        form = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert form is not None
        fields = {"form_token": form[1], "account": "work"}
        started = await browser.post("/sync/sync", data=fields, headers={"Origin": where})
        print(f"started: {started.status_code}, {started.headers['location']}")


def main() -> None:
    with (
        open_store("mail.db") as store,
        MailStoreProvider(store, [server.account("work")]) as provider,
        SyncManager(store, provider) as manager,
    ):
        center = monitor_app(store, provider, manager, token=TOKEN, hosts=("mail.example.org",))
        app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("Mail")), Mount("/sync", center)])
        asyncio.run(ask(app))
        for handle in provider.running:
            handle.wait(timeout=60)
        with store.read() as view:
            (run,) = view.runs()
        print(f"complete: {run.counts['new']} new message")


main()
