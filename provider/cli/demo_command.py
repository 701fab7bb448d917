"""``maildock demo``: the word alone; what it does lives in ``demo`` and is imported when it is said."""

import typer

__all__ = ["demo"]


def demo(context: typer.Context) -> int:
    """Play a whole synchronization against a real mail server that starts here, with several hundred messages."""
    from .demo import play

    return play(context.find_root().params.get("home"))
