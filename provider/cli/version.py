"""Which maildock this is. Alone in its file: ``--version`` is answered before anything else is imported."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["version_line"]


def version_line() -> str:
    """Return what ``--version`` prints."""
    try:
        return f"maildock {version('maildock')}"
    except PackageNotFoundError:
        return "maildock (run from a source tree that is not installed)"
