"""BRING: synchronizes mail servers with a mail store, in the background.

    with open_store("mail.db") as store, MailStoreProvider(store, [Account(...)]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=window)).wait()

Every name is imported at its first use (PEP 562), so that ``import provider`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .account import (
        Account,
        Credential,
        CredentialSupplier,
        FolderPolicy,
        Keep,
        Login,
        Password,
        Security,
        SentCopies,
        Smtp,
    )
    from .callback import CancelRequest, ProgressCallback
    from .clock import Clock, SystemClock
    from .entry import MailStoreProvider
    from .errors import (
        Brake,
        Busy,
        Cancelled,
        Closed,
        CommandRefused,
        ConnectionLost,
        ErrorKind,
        FolderUnusable,
        IncompleteAnswer,
        InvalidRequest,
        LimitExceeded,
        LoginRefused,
        Needs,
        ProtocolBroken,
        ProviderError,
        ServerBusy,
        SourceError,
        TimedOut,
        TlsRefused,
        TooManyConnections,
        UnknownItem,
        Unreachable,
        WrongProtocol,
    )
    from .events import (
        MOBSYNC,
        SYNCMGR,
        Counts,
        Event,
        ItemKind,
        ItemResult,
        ItemStatus,
        ResultStatus,
        Severity,
        SyncError,
        SyncProgress,
        SyncResult,
        as_json,
    )
    from .handle import SyncHandle, WaitInsideCallback
    from .limits import Limits
    from .phases import Phase
    from .request import Deliver, SyncFlags, SyncRequest, Trigger
    from .resolver import Resolver
    from .shortcuts import Shortcuts

__all__ = [
    "MOBSYNC",
    "SYNCMGR",
    "Account",
    "Brake",
    "Busy",
    "CancelRequest",
    "Cancelled",
    "Clock",
    "Closed",
    "CommandRefused",
    "ConnectionLost",
    "Counts",
    "Credential",
    "CredentialSupplier",
    "Deliver",
    "ErrorKind",
    "Event",
    "FolderPolicy",
    "FolderUnusable",
    "IncompleteAnswer",
    "InvalidRequest",
    "ItemKind",
    "ItemResult",
    "ItemStatus",
    "Keep",
    "LimitExceeded",
    "Limits",
    "Login",
    "LoginRefused",
    "MailStoreProvider",
    "Needs",
    "Password",
    "Phase",
    "ProgressCallback",
    "ProtocolBroken",
    "ProviderError",
    "Resolver",
    "ResultStatus",
    "Security",
    "SentCopies",
    "ServerBusy",
    "Severity",
    "Shortcuts",
    "Smtp",
    "SourceError",
    "SyncError",
    "SyncFlags",
    "SyncHandle",
    "SyncProgress",
    "SyncRequest",
    "SyncResult",
    "SystemClock",
    "TimedOut",
    "TlsRefused",
    "TooManyConnections",
    "Trigger",
    "UnknownItem",
    "Unreachable",
    "WaitInsideCallback",
    "WrongProtocol",
    "as_json",
]

_HOME = {
    "Account": "account",
    "Credential": "account",
    "CredentialSupplier": "account",
    "FolderPolicy": "account",
    "Keep": "account",
    "Login": "account",
    "Password": "account",
    "Security": "account",
    "SentCopies": "account",
    "Smtp": "account",
    "CancelRequest": "callback",
    "ProgressCallback": "callback",
    "Clock": "clock",
    "SystemClock": "clock",
    "MailStoreProvider": "entry",
    "Brake": "errors",
    "Busy": "errors",
    "Cancelled": "errors",
    "Closed": "errors",
    "CommandRefused": "errors",
    "ConnectionLost": "errors",
    "ErrorKind": "errors",
    "FolderUnusable": "errors",
    "IncompleteAnswer": "errors",
    "InvalidRequest": "errors",
    "LimitExceeded": "errors",
    "LoginRefused": "errors",
    "Needs": "errors",
    "ProtocolBroken": "errors",
    "ProviderError": "errors",
    "ServerBusy": "errors",
    "SourceError": "errors",
    "TimedOut": "errors",
    "TlsRefused": "errors",
    "TooManyConnections": "errors",
    "UnknownItem": "errors",
    "Unreachable": "errors",
    "WrongProtocol": "errors",
    "MOBSYNC": "events",
    "SYNCMGR": "events",
    "Counts": "events",
    "Event": "events",
    "ItemKind": "events",
    "ItemResult": "events",
    "ItemStatus": "events",
    "ResultStatus": "events",
    "Severity": "events",
    "SyncError": "events",
    "SyncProgress": "events",
    "SyncResult": "events",
    "as_json": "events",
    "SyncHandle": "handle",
    "WaitInsideCallback": "handle",
    "Limits": "limits",
    "Phase": "phases",
    "Deliver": "request",
    "SyncFlags": "request",
    "SyncRequest": "request",
    "Trigger": "request",
    "Resolver": "resolver",
    "Shortcuts": "shortcuts",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
