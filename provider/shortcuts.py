"""Which shortcuts a run may take. None of them changes what is in the store at the end; each saves waits or octets.

All are on. One that does harm with some server is switched off for that account, and the plain way is taken instead.
"""

from dataclasses import dataclass

__all__ = ["Shortcuts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcuts:
    """What may be saved; everything False is the plain way: one folder after the other, compared in full."""

    tours: bool = True
    """Many folders are asked about back to back; False: each is opened and waited for by itself."""
    deltas: bool = True
    """Changes are asked for since a cursor (QRESYNC, CONDSTORE); False: every visit compares flags and counts."""
    reuse: bool = True
    """Octets that are here already are not fetched again; False: each message comes by itself."""
    adaptive: bool = True
    """Pages and groups grow and shrink with the line and with errors; False: they have one size."""
    quick_lane: bool = True
    """Single messages on demand come on a connection of their own; False: they wait for their turn."""
