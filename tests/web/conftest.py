"""Chromium for a test session, and a page for a test: Debian's own browser, driven by playwright.

Room: tests/web. A page that logs an error (a script that the policy stopped, a file that is not there) fails its test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from ..servers.require import require_chromium

__all__ = ["PICTURES"]

PICTURES = os.environ.get("MAILDOCK_PICTURES", "")
"""Where pictures go that a person asked for (`make test-web`); empty: to nowhere."""
GUARD_MILLISECONDS = 15_000

Pages = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser. Without its sandbox only where root runs it, which Chromium refuses otherwise."""
    program = require_chromium()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*root, "--disable-dev-shm-usage", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def pages(chromium: Browser) -> Iterator[Pages]:
    """`pages(url, dark=, narrow=, scripts=)`: a page in a browser profile of its own, opened by the address."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # But for what the browser asks for by itself, a form that was filled in wrong, and a server that a test ended.
        meant = ("status of 400", "net::ERR_CONNECTION", "net::ERR_INCOMPLETE")
        wanted = "favicon.ico" in str(message.location.get("url")) or any(text in message.text for text in meant)
        if message.type == "error" and not wanted:
            heard.append(message.text)

    with ExitStack() as opened:

        def page(url: str, *, dark: bool = False, narrow: bool = False, scripts: bool = True) -> Page:
            context = chromium.new_context(
                viewport={"width": 390, "height": 844} if narrow else {"width": 1280, "height": 820},
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
                reduced_motion="reduce",
            )
            opened.callback(context.close)
            context.set_default_timeout(GUARD_MILLISECONDS)
            made = context.new_page()
            made.on("console", hear)
            made.on("pageerror", lambda error: heard.append(str(error)))
            made.goto(url)
            made.wait_for_url("**/")
            return made

        yield page
    assert heard == []


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """`picture(page, name)`: take a picture of what a page shows, where pictures are wanted."""

    def take(page: Page, name: str) -> None:
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))

    return take
