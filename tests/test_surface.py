"""What people hold in their hands: public names, their documentation and types, commands and options, cheap imports."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from provider.cli.app import application

if TYPE_CHECKING:
    from typer.core import TyperCommand

ROOT = Path(__file__).parent.parent

PROVIDER = """
    Account Brake Busy CancelRequest Cancelled Clock Closed CommandRefused ConnectionLost Counts Credential
    CredentialSupplier Deliver DeviceCode ErrorKind Event FileVault FolderPolicy FolderUnusable Found FoundServer
    Grant HostTokens How Http HttpAnswer HttpClient IncompleteAnswer InvalidRequest ItemKind ItemResult ItemStatus
    Keep KeyringVault LimitExceeded Limits Login LoginRefused MOBSYNC MailAddress MailStoreProvider Names Needs
    OAUTH_PROVIDERS OAuthClient OAuthCredentials Password Phase ProgressCallback ProtocolBroken ProviderError
    Resolver ResultStatus SYNCMGR Search Security SentCopies ServerBusy Service Severity Shortcuts Smtp SourceError
    Standing standing_of
    SyncError SyncFlags SyncHandle SyncProgress SyncRequest SyncResult SystemClock TimedOut TlsRefused TokenSupplier
    TooManyConnections Tried Trigger UnknownItem Unreachable Vault VaultPassword VaultUnusable WaitInsideCallback
    WrongProtocol as_json begin_device_sign_in files_sent_copies find_servers finish_device_sign_in from_json is_gone
    sign_in_with_browser try_way_out
"""
STORE = """
    Alert AlertId Alerts
    AccountId Address Arrival Assumed BadMessage BodiesStored BodyEncoder BodyNeed BodyNotHere BodyState
    Cancelled Change ChangePage CheckReport Choice Conflict ConflictId ConflictKind CursorTooOld Editing
    EventLog
    EncodedChunk EncodedHeader Encoder Envelope Fate Filing FlagCounts FlagWish Folder FolderAdded FolderChanged
    FolderCounts FolderCursor FolderExists FolderId FolderNotWritable FolderPath FolderRemoved FolderState
    IdentityOfRow KeyTaken Lane LeaseLost Leased MailStore Message MessageAdded MessageChanged MessageKey
    MessagePage MessageRemoved MimeLimit NewConflict NewMessage NotHere NotUndoable Notify OnServer Operation
    OperationId OperationKind OperationState Outbox PageKey Priority Problem PurgeReport ReadView Recipient
    RemoteFolderRow Reply Role Run RunError RunId Settling Shared Side StoreBusy StoreClosed StoreDamaged
    StoreError StoreErrorKind StoreFailed StoreForeign StoreFull StoreMissing StoreNewer StoreReadOnly
    LogEntry LogId LogItem Recorded
    Submission SubmissionId SubmissionState ToUpload Trouble TroubleKind Uid UidSet UidValidity UnknownAccount
    UnknownConflict UnknownFolder UnknownMessage UnknownOperation UnknownPart UnknownSubmission Version
    Group HandlerRecord Handlers ScheduleId ScheduleRecord Schedules UnknownGroup UnknownSchedule WriteTransaction
    WrongEpoch open_store
"""
STORE_MAIL = """
    AccountId Address BlobId Envelope FolderId FolderPath HeaderId MessageKey ModSeq Role SYSTEM_FLAGS Uid UidSet
    UidValidity clean_flags is_keyword
"""
SNAPSHOTS = {"provider": PROVIDER, "store": STORE, "store.mail": STORE_MAIL}

HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "sqlite3", "imapclient", "asyncio", "ssl", "email", "typer", "rich")
"""What a bare import of the packages may not pull in: each costs more than the packages themselves."""


@pytest.mark.parametrize("package", SNAPSHOTS)
def test_the_public_names_are_those_of_the_snapshot(package: str) -> None:
    assert sorted(importlib.import_module(package).__all__) == sorted(SNAPSHOTS[package].split())


@pytest.mark.parametrize("package", SNAPSHOTS)
def test_every_public_name_can_be_imported_and_is_listed_by_dir(package: str) -> None:
    module = importlib.import_module(package)

    assert [name for name in module.__all__ if not hasattr(module, name) or name not in dir(module)] == []


@pytest.mark.parametrize("package", SNAPSHOTS)
def test_every_public_class_and_function_is_documented(package: str) -> None:
    module = importlib.import_module(package)

    assert [name for name, value in _defined(module) if not _documented(name, value)] == []


def test_every_name_of_the_manager_can_be_imported() -> None:
    manager = importlib.import_module("provider.manager")
    assert [name for name in manager.__all__ if not hasattr(manager, name)] == []


def test_a_class_without_a_docstring_counts_as_undocumented() -> None:
    class Bare(int):
        pass

    assert not _documented("Bare", Bare)


@pytest.mark.parametrize("package", SNAPSHOTS)
def test_no_public_signature_says_any(package: str) -> None:
    module = importlib.import_module(package)

    assert [f"{name}: {place}" for name, value in _defined(module) for place in _any_in(_source_of(value), name)] == []


def test_a_planted_any_is_found() -> None:
    source = "class Box:\n  content: 'dict[str, Any]'\n  def take(self, what: Any): ...\n  def _in(self, x: Any): ..."

    assert list(_any_in(source, "Box")) == ["line 2", "line 3"]


ACCOUNT_OPTIONS = (
    "--host --port --security --user --login --password-env --password-command --vault --ca-file --plaintext-host "
    "--smtp-host --smtp-port --smtp-security --smtp-user --smtp-login --smtp-auth --sent-copies --oauth --client-id"
)
GROUP_OPTIONS = "--folder --headers-only --size-max --send --receive --f9 --f9-offline"
COMMANDS = {
    "account add": f"{ACCOUNT_OPTIONS} --name --yes --json",
    "account set": f"{ACCOUNT_OPTIONS} --json",
    "account login": "--vault --password-stdin --device --client-secret-env --json",
    "account list": "--json",
    "account remove": "--json",
    "account test": "--json",
    "sync": "--folder --headers-only --full --upload-only --download-only --dry-run --max-age --force --yes --json"
    " --password-stdin",
    "send-receive": "--send-only --receive-only --group --f9 --json --password-stdin",
    "send": "--account --from --to --cc --bcc --subject --attach --at --priority --key --notify --queue --json"
    " --password-stdin",
    "outbox": "--account --all --json",
    "outbox show": "--raw --json",
    "outbox cancel": "--json",
    "outbox retry": "--json",
    "outbox suspend": "",
    "outbox resume": "",
    "folders": "--account --json",
    "list": "--all --account --limit --sha256 --json",
    "show": "--raw --headers --part --json",
    "flag": "--json",
    "unflag": "--json",
    "move": "--to --json",
    "copy": "--to --json",
    "delete": "--for-good --yes --json",
    "append": "--to --account --flag --date --replaces --json",
    "undo": "--json",
    "folder create": "--account --json",
    "folder rename": "--account --json",
    "folder delete": "--account --yes --json",
    "folder subscribe": "--account --json",
    "folder unsubscribe": "--account --json",
    "pending": "--account --all --json",
    "pending cancel": "--json",
    "pending retry": "--json",
    "pending approve": "--json",
    "conflicts": "--account --all --json",
    "conflicts resolve": "--all --account --json",
    "status": "--json --watch",
    "history": "--account --limit --errors --json",
    "events": "--account --severity --all --limit --json",
    "events alerts": "--account --all --limit --json",
    "events remove": "--json",
    "events retry": "--json",
    "daemon": "--retry-minutes --desktop --battery-min --metered-headers --json --alert-command --alert-webhook --push",
    "groups": "--json",
    "groups add": f"--account {GROUP_OPTIONS} --json",
    "groups set": f"--account {GROUP_OPTIONS} --json",
    "groups remove": "--json",
    "schedule": "--json",
    "schedule add": "--zone --json",
    "schedule remove": "--json",
    "schedule enable": "--json",
    "schedule disable": "--json",
    "running": "--json",
    "stop": "--json",
    "pause": "--json",
    "resume": "--json",
    "offline": "--json",
    "online": "--json",
    "monitor": "--port --open",
    "handlers": "--items --all --json",
    "handlers enable": "--json",
    "handlers disable": "--json",
    "handlers activate": "--json",
    "handlers deactivate": "--json",
    "handlers remove": "--json",
    "handlers restore": "--json",
    "handlers refresh": "--json",
    "handlers stop": "--json",
    "handlers start": "--no-ui --json",
    "policy": "--json",
    "policy refuse": "--reason --item --json",
    "policy allow": "--item --json",
    "check": "--full --json",
    "import-from": "--as --json",
    "demo": "",
}


def test_the_commands_and_options_are_those_of_the_snapshot() -> None:
    found = {
        name: " ".join(option for parameter in command.params for option in parameter.opts if option[:2] == "--")
        for name, command in _commands()
    }

    assert found == COMMANDS


def test_every_command_option_and_argument_has_a_help_text() -> None:
    silent = [name for name, command in _commands() if not command.help]
    silent += [
        f"{name} {parameter.name}"
        for name, command in _commands()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]

    assert silent == []


def test_the_readme_mentions_every_command_and_option() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name, _ in _commands() if not re.search(rf"maildock {name}\b", readme)]
    missing += sorted({word for words in COMMANDS.values() for word in words.split() if f"{word}" not in readme})

    assert missing == []


@pytest.mark.parametrize(
    ("code", "but"),
    [
        ("import provider", ()),
        ("import provider.manager", ()),
        ("import store", ()),
        ("import store.mail", ()),
        ("from provider.cli.__main__ import main; main(['--version'])", ("email",)),  # importlib.metadata reads with it
        ("from provider.cli.__main__ import main; main(['--help'])", ("typer", "asyncio", "email")),
        ("from provider.cli.__main__ import main; main(['sync', '--help'])", ("typer", "pydantic", "asyncio", "email")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, but: tuple[str, ...]) -> None:
    asked = f"import sys; {code}; print('loaded', *[name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert set(ran.stdout.splitlines()[-1].split()[1:]) - set(but) == set()


def _defined(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the public classes and functions of *module*; constants and type aliases have nothing to document."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield name, value


def _documented(name: str, value: object) -> bool:
    own = (value.__dict__ if inspect.isclass(value) else vars(inspect.getmodule(value))[name].__dict__).get("__doc__")
    text = own or (value.__doc__ if inspect.isfunction(value) else None)
    if not text and inspect.isclass(value) and issubclass(value, Exception):
        # An error that adds nothing of its own is explained where the whole tree is drawn.
        return name in (sys.modules[value.__module__].__doc__ or "")
    if not text or text.startswith(f"{name}("):  # what `dataclass` writes by itself says nothing
        return False
    methods = vars(value).items() if inspect.isclass(value) else ()
    return all(member.__doc__ for label, member in methods if inspect.isfunction(member) and not label.startswith("_"))


def _source_of(value: object) -> str:
    return inspect.getsource(sys.modules[str(getattr(value, "__module__", ""))])


def _any_in(source: str, name: str) -> Iterator[str]:
    """Yield where the public part of the class or function *name* is annotated with ``Any``."""
    for node in ast.parse(source).body:
        if getattr(node, "name", None) != name:
            continue
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for member in members:
            if getattr(member, "name", "").startswith("_"):
                continue
            notes: list[ast.expr | None] = []
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                given = member.args
                every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
                notes = [one.annotation for one in every if one is not None] + [member.returns]
            elif isinstance(member, ast.AnnAssign):
                notes = [member.annotation]
            if any(re.search(r"\bAny\b", ast.unparse(note)) for note in notes if note is not None):
                yield f"line {member.lineno}"


def _commands() -> "Iterator[tuple[str, TyperCommand]]":
    from typer.main import get_command

    def walk(prefix: str, command: object) -> Iterator[tuple[str, "TyperCommand"]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield prefix, command  # type: ignore[misc]  # what has no commands of its own is one
            return
        if prefix and getattr(command, "invoke_without_command", False):
            yield prefix, command  # type: ignore[misc]  # it does something by itself, too
        for name, one in inner.items():
            yield from walk(f"{prefix} {name}".strip(), one)

    yield from walk("", get_command(application()))
