"""The tree keeps its rules: who may import whom, what is pure, where a library may be seen, how long a file is.

Read from the sources by ``ast``; nothing is imported. Every rule has one planted violation that proves it can fail.
The rules are those of the design: "May import (nothing else; not transitive)".
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES_MAX = 400

SEAM = (
    "provider.sources.base",
    "provider.sources.legs",
    "provider.sources.parking",
    "provider.sources.writing",
)
"""What engine, replay and every source know of each other: the main seam and what is optional there."""

LEAF = "a leaf of provider"
"""A file that lies in ``provider/`` itself and has no rule of its own: it knows values of ``store.mail``, other leaves
and the source seam, and nothing else of ours."""

# Room -> what it may import, as prefixes of module names; its own modules always. Longest room first wins.
ROOMS: dict[str, tuple[str, ...]] = {
    "store.mail": (),
    "store.mime": ("store.mail", "store.errors"),
    "store": ("store",),
    LEAF: ("store.mail", "leaves", *SEAM),
    "provider.bridge": ("store.mail", "leaves"),
    "provider.sources.base": ("store.mail", "leaves"),
    "provider.sources.legs": ("store.mail", "leaves", "provider.sources.base"),
    "provider.sources.parking": ("store.mail", "leaves", "provider.sources.base"),
    "provider.sources.writing": ("store.mail", "leaves", "provider.sources.base"),
    "provider.sources.registry": ("store.mail", "leaves", "provider.sources"),
    "provider.sources.memory": ("store.mail", "leaves", *SEAM),
    "provider.sources.imap": ("store.mail", "leaves", *SEAM),
    "provider.sources.localfiles": ("store.mail", "leaves", *SEAM),
    "provider.sources": ("store.mail", "leaves"),
    "provider.engine": ("store", "leaves", *SEAM, "provider.bridge"),
    "provider.replay": ("store", "leaves", *SEAM),
    "provider.recording": ("store", "leaves"),
    "provider.standing": ("store", "leaves"),
    "provider.transport": ("store", "leaves", "provider.access.isps", "provider.recording"),
    "provider.access": ("store.mail", "store.filelock", "store.errors", "leaves", "provider.bridge"),
    "provider.preview": ("store", "leaves", *SEAM, "provider.engine", "provider.replay"),
    "provider.rounds": ("store", "leaves", *SEAM, "provider.engine", "provider.replay", "provider.preview"),
    "provider.run": ("store", "leaves", *SEAM, "provider.engine", "provider.rounds", "provider.recording"),
    "provider.entry": (
        "store",
        "leaves",
        "provider.run",
        "provider.transport",
        "provider.sources.registry",
        *SEAM,
        "provider.bridge",
    ),
    "provider.manager": ("store", "leaves", "provider.entry", "provider.bridge", "provider.sources.parking"),
    "provider.testing": (
        "store.mail",
        "leaves",
        "provider.sources.memory",
        "provider.transport.base",
        *SEAM,
        "provider.manager",
    ),
    "provider.monitor": ("=provider", "=store", "store.mail", "store.mime", "provider.manager", "provider.words"),
    "provider.cli": (
        "=provider",
        "=store",
        "store.mail",
        "store.mime",
        "provider.manager",
        "provider.monitor",
        "provider.words",
    ),
    "provider": ("leaves", "provider.entry", "provider.access", "provider.transport", "provider.standing"),
}

PURE = (
    "store.mail",
    "provider.engine.plan",
    "provider.engine.portion",
    "provider.engine.resume",
    "provider.replay.collapse",
    "provider.replay.conflicts",
    "provider.replay.guard",
    "provider.replay.refusals",
    "provider.sources.imap.translate",
    "provider.sources.imap.watching",
    "provider.transport.smtp.data",
    "provider.transport.smtp.envelope",
    "provider.transport.smtp.replies",
    "provider.transport.policy",
    "provider.backoff",
    "provider.manager.handlers.book",
    "provider.manager.handlers.conflicts",
    "provider.manager.handlers.handler",
    "provider.manager.handlers.masks",
    "provider.manager.handlers.progress",
    "provider.manager.reports.loglines",
    "provider.manager.schedule",
    "provider.manager.surroundings.desktop",
    "provider.manager.surroundings.triggers",
    "provider.manager.pushing.watchlist",
    "provider.manager.handlers.views",
    "provider.phases",
    "provider.states",
    "provider.words",
)
IMPURE_LIBRARIES = {"asyncio", "threading", "socket", "time", "sqlmodel", "sqlalchemy", "sqlite3", "imapclient"}

# Library -> the only rooms that may see it.
LIBRARY_ROOMS: dict[str, tuple[str, ...]] = {
    "imapclient": ("provider.sources.imap",),
    "imaplib": ("provider.sources.imap", "provider.cli.demo"),
    "aiosmtplib": ("provider.transport.smtp",),
    "mailbox": ("provider.sources.localfiles", "store.exchange"),
    "email": ("store.mime", "provider.cli.demo_mail", "provider.cli.compose", "provider.cli.send_command"),
    "sqlite3": ("store",),
    "sqlmodel": ("store",),
    "sqlalchemy": ("store",),
    "typer": ("provider.cli",),
    "rich": ("provider.cli",),
    "starlette": ("provider.monitor",),
    "uvicorn": ("provider.monitor.serve",),
    "jinja2": ("provider.monitor.rendering",),
    "pymap": ("provider.cli.demo_server",),
    "jeepney": ("provider.manager.surroundings.bus",),
    "keyring": ("provider.access.vault",),
    "httpx2": ("provider.access.web",),
    "dns": ("provider.access.names",),
    "xml": ("provider.access.isp_xml",),
}
STORE_FORBIDDEN = {"socket", "ssl", "asyncio", "concurrent", "imaplib", "smtplib", "http", "urllib.request"}

THREAD_STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread", "to_thread", "run_in_executor"}
THREAD_ROOMS = (
    "provider.bridge",
    "provider.dial",  # a name look-up cannot be stopped: its thread is left behind when we are
    "provider.cli.demo_server",  # a server for people to try, not part of the provider
)


@dataclass(frozen=True, slots=True)
class Module:
    """A source file of ours. ``imports``: (name, line); names of our own modules are whole."""

    name: str
    tree: ast.Module
    lines: int
    imports: tuple[tuple[str, int], ...]

    @property
    def is_package(self) -> bool:
        return self.name in PACKAGES


def module(name: str, source: str, known: Iterable[str]) -> Module:
    """Read *source* as the module *name*; *known* names tell a module from a name within it."""
    tree = ast.parse(source)
    return Module(name, tree, source.count("\n"), tuple(imports_of(name, tree, set(known))))


def imports_of(name: str, tree: ast.Module, known: set[str]) -> Iterator[tuple[str, int]]:
    package = name if name in PACKAGES else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield (inner if inner in known else origin, node.lineno)


def _files() -> dict[str, Path]:
    found = {}
    for top in ("store", "provider"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = _files()
PACKAGES = {name for name, path in FILES.items() if path.name == "__init__.py"}
MODULES = {name: module(name, path.read_text(encoding="utf-8"), FILES) for name, path in FILES.items()}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str:
    if name.startswith("provider.") and name.count(".") == 1 and name not in ROOMS and name not in PACKAGES:
        return LEAF
    return max((room for room in ROOMS if within(name, room)), key=len, default="")


def allowed(target: str, permission: str) -> bool:
    if permission == "leaves":
        return room_of(target) == LEAF
    if permission.startswith("="):  # the package's public names, not the modules inside it
        return target == permission[1:]
    return within(target, permission)


def foreign_imports(one: Module) -> list[str]:
    """Return the imports of *one* that its room may not have."""
    room = room_of(one.name)
    return [
        f"{one.name}:{line} imports {target}"
        for target, line in one.imports
        if target.partition(".")[0] in ("store", "provider")
        and room_of(target) != room
        and not any(allowed(target, permission) for permission in (*ROOMS[room], "store.mail"))
    ]


def impure_imports(one: Module) -> list[str]:
    """Return the imports that a pure module may not have."""
    if not any(within(one.name, pure) for pure in PURE):
        return []
    return [f"{one.name}:{line} imports {t}" for t, line in one.imports if t.partition(".")[0] in IMPURE_LIBRARIES]


def misplaced_libraries(one: Module) -> list[str]:
    """Return the libraries that are seen outside the rooms they belong to."""
    wrong = []
    for target, line in one.imports:
        library = target.partition(".")[0]
        rooms = LIBRARY_ROOMS.get(library)
        strayed = rooms is not None and not any(within(one.name, room) for room in rooms)
        if strayed or (within(one.name, "store") and any(within(target, word) for word in STORE_FORBIDDEN)):
            wrong.append(f"{one.name}:{line} imports {target}")
    return wrong


def threads_started(one: Module) -> list[str]:
    """Return the places that start threads outside the rooms that may."""
    if any(within(one.name, room) for room in THREAD_ROOMS):
        return []
    return [
        f"{one.name}:{node.lineno} uses {word}"
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Call)
        for word in [getattr(node.func, "attr", getattr(node.func, "id", ""))]
        if word in THREAD_STARTERS
    ]


def too_long(one: Module) -> list[str]:
    """Return the file when it has more lines than a room should; migrations and tables excepted."""
    return [f"{one.name}: {one.lines} lines"] if one.lines > LINES_MAX else []


def cycles(modules: dict[str, Module]) -> list[str]:
    """Return import cycles between modules. What only the type checker reads does not count."""
    edges = {name: _edges(one, modules) for name, one in modules.items()}
    found: list[str] = []
    done: set[str] = set()
    for start in sorted(edges):
        path: list[str] = []
        _walk(start, edges, path, done, found)
    return found


def _edges(one: Module, modules: dict[str, Module]) -> list[str]:
    typing_only = {
        inner.lineno
        for node in ast.walk(one.tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Import, ast.ImportFrom))
    }
    return sorted(
        {target for target, line in one.imports if target in modules and line not in typing_only} - {one.name}
    )


def _walk(at: str, edges: dict[str, list[str]], path: list[str], done: set[str], found: list[str]) -> None:
    if at in path:
        found.append(" -> ".join([*path[path.index(at) :], at]))
        return
    if at in done:
        return
    path.append(at)
    for target in edges[at]:
        _walk(target, edges, path, done, found)
    path.pop()
    done.add(at)


RULES = {
    "rooms import only what the design allows": foreign_imports,
    "pure modules import nothing that waits, stores or speaks": impure_imports,
    "a library is seen in its own room only": misplaced_libraries,
    "only the bridge starts threads": threads_started,
    "no file is over 400 lines": too_long,
}

PLANTED = [
    (foreign_imports, "provider.sources.imap.planted", "from store import open_store"),
    (foreign_imports, "provider.engine.planted", "from ..sources.imap.wire import Wire"),
    (foreign_imports, "provider.engine.planted", "from provider.replay import runner"),
    (foreign_imports, "provider.replay.planted", "from provider.engine.plan import plan"),
    (foreign_imports, "provider.transport.planted", "from ..entry import MailStoreProvider"),
    (foreign_imports, "provider.access.planted", "from store import open_store"),
    (foreign_imports, "provider.access.planted", "from ..sources.imap.tls import make_context"),
    (misplaced_libraries, "provider.access.planted", "def late():\n    import keyring"),
    (foreign_imports, "provider.errors", "from store.errors import StoreError"),
    (foreign_imports, "provider.run", "from .cli import app"),
    (foreign_imports, "provider.testing.planted", "from ..sources.imap import source"),
    (foreign_imports, "provider.cli.planted", "from ..engine.plan import plan"),
    (foreign_imports, "provider.manager.planted", "import provider.run"),
    (foreign_imports, "provider.bridge", "from store import MailStore"),
    (foreign_imports, "store.mime.planted", "from ..mailstore import MailStore"),
    (foreign_imports, "store.mail.planted", "from ..errors import StoreError"),
    (foreign_imports, "store.planted", "import provider"),
    (impure_imports, "provider.engine.plan", "import time"),
    (impure_imports, "store.mail.planted", "def late():\n    import sqlmodel"),
    (misplaced_libraries, "provider.engine.planted", "from imapclient import IMAPClient"),
    (misplaced_libraries, "provider.planted", "import sqlite3"),
    (misplaced_libraries, "store.planted", "import asyncio"),
    (threads_started, "provider.engine.planted", "import threading\nthreading.Thread(target=print).start()"),
    (too_long, "provider.planted", "\n" * (LINES_MAX + 1)),
]


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: str) -> None:
    assert [text for one in MODULES.values() for text in RULES[rule](one)] == []


@pytest.mark.parametrize(("check", "name", "source"), PLANTED)
def test_a_planted_violation_is_found(check: object, name: str, source: str) -> None:
    assert callable(check)
    assert len(check(module(name, source, {*FILES, "provider.replay.runner", "provider.sources.imap.source"}))) == 1


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    assert cycles(MODULES) == []


def test_a_planted_circle_is_found() -> None:
    names = ["store.a", "store.b", "store.c"]
    sources = ["from .b import x", "def late():\n    from . import c", "import store.a"]
    planted = {name: module(name, source, names) for name, source in zip(names, sources, strict=True)}

    assert cycles(planted) == ["store.a -> store.b -> store.c -> store.a"]


def test_every_room_of_the_table_is_one_that_the_design_knows() -> None:
    known = {"monitor", "manager", "replay", "transport"}  # rooms of later work: their rules stand here already
    missing = {room for room in ROOMS if room not in FILES and room != LEAF and room.split(".")[1] not in known}

    assert missing == set()
