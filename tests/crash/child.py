"""What a child of the fork server does: open the store, synchronize, stop where it is told to.

Room: tests/crash. Run as a program it is the fork server: everything is imported here, once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import store.mailstore
import store.migrate  # noqa: F401
from provider import Account, Limits, MailStoreProvider, Password, Security, SyncRequest
from provider import run as _run  # noqa: F401
from provider.sources.imap import source as _source  # noqa: F401
from provider.testing import MemoryServer
from provider.transport import sender as _sender  # noqa: F401
from provider.transport import smtp as _smtp  # noqa: F401
from store import open_store
from store.mail import AccountId, MessageKey

from ..ways import way_named
from ..wire.smtp_rig import sender_at
from .forks import serve
from .stopping import Stopper, make_steps_small

__all__ = ["ME", "account_of", "sender_of", "work"]

ME = AccountId("me")
WAIT_SECONDS = 60.0


def account_of(job: dict[str, Any]) -> Account:
    """Return the account that a job names: port, user, password, limits, way."""
    return Account(
        id=ME,
        host="127.0.0.1",
        port=job["port"],
        user=job["user"],
        security=Security.NONE,
        credentials=Password(job["password"]),
        limits=Limits(**job.get("limits", {})),
        shortcuts=way_named(job.get("way", "all")),
    )


def sender_of(port: int, far: MemoryServer) -> Account:
    """Return an account whose way out is at *port*, and whose mail is on a server in memory."""
    return replace(far.account(ME), smtp=sender_at(port).smtp)


def work(job: dict[str, Any]) -> dict[str, object]:
    """Synchronize once, and beside it ``fetch`` what the job names; or, with a port ``smtp``, send what is due.

    Return how it ended, and what was met how often.
    """
    stopper = Stopper(job.get("kind", ""), job.get("at", 0))
    if job.get("small_steps"):
        make_steps_small()
    if "kind" in job:
        stopper.install()
    account = sender_of(job["smtp"], MemoryServer()) if "smtp" in job else account_of(job)
    with open_store(Path(job["path"])) as store, MailStoreProvider(store, [account]) as provider:
        if job.get("fetch"):
            provider.fetch(map(MessageKey, job["fetch"]))
        result = provider.send_and_receive(SyncRequest(), receive="smtp" not in job).wait(WAIT_SECONDS)
    return {
        "status": result.status.value,
        "errors": [error.kind.value for error in result.errors],
        "counts": dict(stopper.counts),
    }


if __name__ == "__main__":
    serve(work)
