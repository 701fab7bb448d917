"""BRING: synchronizes mail servers with a mail store, in the background.

    with open_store("mail.db") as store, MailStoreProvider(store, [Account(...)]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=window)).wait()

Every name is imported at its first use (PEP 562), so that ``import provider`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access.autoconfig import Search, Tried, find_servers
    from .access.device import DeviceCode, begin_device_sign_in, finish_device_sign_in
    from .access.filevault import FileVault
    from .access.found import Found, FoundServer, How, MailAddress
    from .access.isps import files_sent_copies
    from .access.loopback import sign_in_with_browser
    from .access.names import Names, Service
    from .access.oauth import OAUTH_PROVIDERS, Grant, OAuthClient
    from .access.tokens import HostTokens, OAuthCredentials, TokenSupplier
    from .access.vault import KeyringVault, Vault, VaultPassword
    from .access.web import Http, HttpAnswer, HttpClient
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
        VaultUnusable,
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
        from_json,
    )
    from .handle import SyncHandle, WaitInsideCallback
    from .limits import Limits
    from .owner import is_gone
    from .phases import Phase
    from .request import Deliver, SyncFlags, SyncRequest, Trigger
    from .resolver import Resolver
    from .shortcuts import Shortcuts
    from .standing import Standing, standing_of
    from .transport.tryout import try_way_out

__all__ = [
    "MOBSYNC",
    "OAUTH_PROVIDERS",
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
    "DeviceCode",
    "ErrorKind",
    "Event",
    "FileVault",
    "FolderPolicy",
    "FolderUnusable",
    "Found",
    "FoundServer",
    "Grant",
    "HostTokens",
    "How",
    "Http",
    "HttpAnswer",
    "HttpClient",
    "IncompleteAnswer",
    "InvalidRequest",
    "ItemKind",
    "ItemResult",
    "ItemStatus",
    "Keep",
    "KeyringVault",
    "LimitExceeded",
    "Limits",
    "Login",
    "LoginRefused",
    "MailAddress",
    "MailStoreProvider",
    "Names",
    "Needs",
    "OAuthClient",
    "OAuthCredentials",
    "Password",
    "Phase",
    "ProgressCallback",
    "ProtocolBroken",
    "ProviderError",
    "Resolver",
    "ResultStatus",
    "Search",
    "Security",
    "SentCopies",
    "ServerBusy",
    "Service",
    "Severity",
    "Shortcuts",
    "Smtp",
    "SourceError",
    "Standing",
    "SyncError",
    "SyncFlags",
    "SyncHandle",
    "SyncProgress",
    "SyncRequest",
    "SyncResult",
    "SystemClock",
    "TimedOut",
    "TlsRefused",
    "TokenSupplier",
    "TooManyConnections",
    "Tried",
    "Trigger",
    "UnknownItem",
    "Unreachable",
    "Vault",
    "VaultPassword",
    "VaultUnusable",
    "WaitInsideCallback",
    "WrongProtocol",
    "as_json",
    "begin_device_sign_in",
    "files_sent_copies",
    "find_servers",
    "finish_device_sign_in",
    "from_json",
    "is_gone",
    "sign_in_with_browser",
    "standing_of",
    "try_way_out",
]

_HOME = {
    "try_way_out": "transport.tryout",
    "SentCopies": "account",
    "Smtp": "account",
    "VaultUnusable": "errors",
    "KeyringVault": "access.vault",
    "Vault": "access.vault",
    "VaultPassword": "access.vault",
    "FileVault": "access.filevault",
    "Http": "access.web",
    "HttpAnswer": "access.web",
    "HttpClient": "access.web",
    "OAUTH_PROVIDERS": "access.oauth",
    "Grant": "access.oauth",
    "OAuthClient": "access.oauth",
    "HostTokens": "access.tokens",
    "OAuthCredentials": "access.tokens",
    "TokenSupplier": "access.tokens",
    "sign_in_with_browser": "access.loopback",
    "DeviceCode": "access.device",
    "begin_device_sign_in": "access.device",
    "finish_device_sign_in": "access.device",
    "Found": "access.found",
    "FoundServer": "access.found",
    "How": "access.found",
    "MailAddress": "access.found",
    "files_sent_copies": "access.isps",
    "is_gone": "owner",
    "Names": "access.names",
    "Service": "access.names",
    "Search": "access.autoconfig",
    "Tried": "access.autoconfig",
    "find_servers": "access.autoconfig",
    "Account": "account",
    "Credential": "account",
    "CredentialSupplier": "account",
    "FolderPolicy": "account",
    "Keep": "account",
    "Login": "account",
    "Password": "account",
    "Security": "account",
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
    "from_json": "events",
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
    "Standing": "standing",
    "standing_of": "standing",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
