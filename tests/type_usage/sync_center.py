"""How a host mounts Sync Center, as its type checker sees it. Never run; `make lint` checks it."""

import secrets

from starlette.applications import Starlette
from starlette.routing import Mount

from provider import Account, MailStoreProvider
from provider.manager.control.desk import Desk, LocalDesk
from provider.manager.manager import SyncManager
from provider.monitor import monitor_app
from store import MailStore


def mounted(store: MailStore, accounts: list[Account]) -> Starlette:
    provider = MailStoreProvider(store, accounts)
    manager = SyncManager(store, provider)
    desk: Desk = LocalDesk(provider, manager)
    center = monitor_app(
        store, provider, manager, token=secrets.token_urlsafe(32), hosts=("mail.example.org",), desk=desk
    )
    return Starlette(routes=[Mount("/sync", center)])
