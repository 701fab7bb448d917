"""What happens around the daemon: its environment, and the desktop's bus that feeds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import ExitCode, Trouble

if TYPE_CHECKING:
    from ..manager.surroundings.environment import Environment

__all__ = ["BatteryMin", "Desktop", "MeteredHeaders", "surroundings"]

Desktop = Annotated[
    bool | None,
    typer.Option("--desktop/--no-desktop", help="Listen to network, power and session; where it can, by default."),
]
BatteryMin = Annotated[
    int, typer.Option("--battery-min", metavar="N", min=0, max=100, help="Below so many percent on battery, wait.")
]
MeteredHeaders = Annotated[
    bool, typer.Option("--metered-headers/--metered-bodies", help="Headers alone on a metered or slow link.")
]


@contextmanager
def surroundings(*, desktop: bool | None, battery_min: int, metered_headers: bool) -> Iterator["Environment"]:
    """Give the environment of a daemon. *desktop* None: watch it where what that needs is installed."""
    from ..manager.surroundings.environment import Environment
    from ..manager.surroundings.triggers import SurroundingsPolicy

    environment = Environment(
        SurroundingsPolicy(
            pause_below_percent=float(battery_min),
            headers_only_metered=metered_headers,
            headers_only_below_bits=SurroundingsPolicy().headers_only_below_bits if metered_headers else 0,
        )
    )
    if desktop is False:
        yield environment
        return
    try:
        from ..manager.surroundings.bus import DesktopWatch
    except ImportError:
        if desktop:
            text = "The desktop is watched over D-Bus, and what that needs is not installed."
            raise Trouble(text, ExitCode.USAGE, "pip install 'maildock[dbus]'") from None
        yield environment
        return
    with DesktopWatch(environment):
        yield environment
