"""A process that uses an account's OAuth sign-in, with two threads, and may die between an answer and its commit.

Room: tests/access. Run as a fork server (tests/crash/forks.py). A job: the vault, the client, the skew of the clock,
and at which `put` to die (0: never), before or behind it.
"""

import json
import os
import threading
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2  # noqa: F401  # once, before the forks

from provider import Account, ErrorKind, LoginRefused, ProviderError
from provider.access.filevault import FileVault
from provider.access.oauth import OAuthClient
from provider.access.tokens import OAuthCredentials
from provider.access.web import HttpClient
from provider.testing import ManualClock
from store.mail import AccountId

from ..crash.forks import STOPPED, serve

THREADS = 2
TRIES_MAX = 30
ACCOUNT = Account(id=AccountId("work"), host="h", user="jo@example.org")


class Unlocked(FileVault):
    """A planted fault: nobody waits for anybody."""

    def alone(self, account: str) -> AbstractContextManager[object]:
        return nullcontext()


class Forgetful(FileVault):
    """A planted fault: what was put is not there afterwards."""

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep nothing."""


class Shortsighted(FileVault):
    """A planted fault: what a refresh token took the place of is not kept."""

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep the newest only."""
        super().put(account, name, json.dumps(json.loads(secret) | {"refresh_token_before": ""}))


PLANTED = {kind.__name__: kind for kind in (Unlocked, Forgetful, Shortsighted)}


class DyingVault(FileVault):
    """Ends the process at one `put`, as a kill does."""

    def __init__(self, path: Path, put: int, behind: bool) -> None:
        super().__init__(path)
        self._left, self._behind = put, behind

    def put(self, account: str, name: str, secret: str) -> None:
        """Die, or keep it."""
        self._left -= 1
        if self._left == 0 and not self._behind:
            os._exit(STOPPED)
        super().put(account, name, secret)
        if self._left == 0:
            os._exit(STOPPED)


def work(job: dict[str, Any]) -> dict[str, object]:
    """Let each thread get an access token that the server knows. Returns the errors that were met."""
    client = OAuthClient(
        client_id=job["client_id"], authorization_url=job["url"] + "/authorize", token_url=job["url"] + "/token"
    )
    clock, http = ManualClock(datetime.now(UTC) + timedelta(seconds=job["skew"])), HttpClient()
    vault: FileVault = DyingVault(Path(job["vault"]), job["put"], job["behind"])
    if planted := job.get("planted"):
        vault = PLANTED[planted](Path(job["vault"]))
    credentials = OAuthCredentials(vault, client, http, clock=clock)
    ends: list[str] = []

    def login() -> None:
        refused = False
        for _ in range(TRIES_MAX):
            try:
                token = credentials(ACCOUNT, refused=refused).secret
            except LoginRefused as error:
                ends.append("lost" if error.kind is ErrorKind.SIGN_IN_AGAIN else error.kind.value)
                return
            except ProviderError as error:
                if not error.retryable:
                    ends.append(error.kind.value)
                    return
                clock.advance((error.retry_after_seconds or 1.0) + 1.0)
                continue
            if b"true" in http(job["url"] + "/introspect", {"token": token}).body:
                ends.append("in")
                return
            refused = True
        ends.append("never in")

    threads = [threading.Thread(target=login) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"ends": ends}


if __name__ == "__main__":
    serve(work)
