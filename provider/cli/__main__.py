"""The entry of the command ``maildock``: answers ``--version`` at once, runs a command, makes every end an exit code.

No traceback ever reaches a person, unless MAILDOCK_DEBUG=1 asks for it.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .version import version_line

if TYPE_CHECKING:
    from .exits import ExitCode

__all__ = ["main"]

EXTRA_MISSING = "maildock: the command line needs its extra: pip install 'maildock[cli]'\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``maildock`` with *arguments* (default: those of this process) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        sys.stdout.write(f"{version_line()}\n")
        return 0
    try:
        from .app import command
    except ModuleNotFoundError as error:
        if not _is_of_extra(error):
            raise
        sys.stderr.write(EXTRA_MISSING)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not end a command
    _set_up_logging()
    try:
        code = command()(words, prog_name="maildock", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BaseException as error:
        if os.environ.get("MAILDOCK_DEBUG") == "1":
            raise
        return _told(error)


def _is_of_extra(error: BaseException) -> bool:
    """Tell whether *error* is a library of the extra ``cli`` that is not there."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return (missing or "").partition(".")[0] in ("typer", "rich", "platformdirs", "tomli_w")


def _told(error: BaseException) -> int:
    """Say what *error* means to a person, and return its exit code."""
    from typer import Abort, TyperException

    from .. import ProviderError
    from .exits import ExitCode, Trouble, exit_of_kinds, hint_of
    from .output import hint, one_line

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.ERRORS
    if isinstance(error, TyperException):
        error.show()  # type: ignore[attr-defined]  # typer's usage errors have it; the public base does not declare it
        return ExitCode.USAGE
    if isinstance(error, (KeyboardInterrupt, Abort)):
        hint("maildock: cancelled.")
        return ExitCode.CANCELED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough. The interpreter must not fail again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERRORS
    if _is_of_extra(error):
        sys.stderr.write(EXTRA_MISSING)
        return ExitCode.USAGE
    text, helps, code = str(error), "", ExitCode.ERRORS
    if isinstance(error, Trouble):
        helps, code = error.hint, error.code
    elif isinstance(error, ProviderError):
        helps, code = hint_of(error.kind), exit_of_kinds([error.kind])
    elif (told := _of_store(error)) is not None:
        helps, code = told
    else:
        text = f"something unexpected happened ({type(error).__name__})."
        helps = "MAILDOCK_DEBUG=1 maildock ... shows where; please report it."
    hint(f"maildock: {one_line(text)}")
    if helps:
        hint(f"  {one_line(helps)}")
    return code


def _of_store(error: BaseException) -> "tuple[str, ExitCode] | None":
    """Return hint and exit code of an error of the store, or None for another one."""
    from store import (
        BadMessage,
        BodyNotHere,
        FolderExists,
        FolderNotWritable,
        KeyTaken,
        MimeLimit,
        NotHere,
        NotUndoable,
        StoreError,
        StoreFull,
        StoreMissing,
        UnknownAccount,
        UnknownConflict,
        UnknownFolder,
        UnknownGroup,
        UnknownMessage,
        UnknownOperation,
    )

    from .exits import ExitCode

    match error:
        case StoreMissing():
            return "maildock sync makes it, and maildock demo shows one.", ExitCode.STORE
        case StoreFull():
            return "Make room on the disk and run the same again: nothing is lost.", ExitCode.STORE
        case UnknownAccount() | UnknownFolder() | UnknownMessage():
            return "maildock folders and maildock list --all show what there is.", ExitCode.USAGE
        case BadMessage() | KeyTaken():
            return "Nothing was queued.", ExitCode.USAGE
        case UnknownOperation():
            return "maildock pending --all shows what there is.", ExitCode.USAGE
        case UnknownGroup():
            return "maildock groups shows what there is.", ExitCode.USAGE
        case UnknownConflict():
            return "maildock conflicts shows those that wait.", ExitCode.USAGE
        case FolderExists():
            return "Choose another path, or use the folder that is there.", ExitCode.USAGE
        case FolderNotWritable():
            return "maildock folders shows the states of folders.", ExitCode.USAGE
        case NotHere():
            return "maildock show ID --raw, and append it there.", ExitCode.USAGE
        case NotUndoable():
            return "maildock pending --all shows the batches that are left.", ExitCode.USAGE
        case BodyNotHere():
            return "maildock show ID fetches it.", ExitCode.ERRORS
        case MimeLimit():
            return "maildock show ID --raw gives it as it is.", ExitCode.ERRORS
        case StoreError():
            return "", ExitCode.STORE
        case _:
            return None


def _set_up_logging() -> None:
    """Keep the library's own log off the terminal: what matters is said by the commands."""
    import logging

    if os.environ.get("MAILDOCK_DEBUG") == "1":
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    else:
        logging.getLogger().addHandler(logging.NullHandler())


if __name__ == "__main__":
    sys.exit(main())
