"""What a host decides instead of the defaults: refusals and conflicts of what was changed offline.

Called on the run's thread; must return at once and never block. One that raises is logged, and the default is taken.
"""

from typing import Protocol

from store.mail.conflicts import Choice, NewConflict
from store.mail.operations import Operation

from .errors import ProviderError

__all__ = ["Resolver"]


class Resolver(Protocol):
    """Handed over with a request."""

    def keeps(self, operation: Operation, error: ProviderError) -> bool:
        """Tell whether the local effect of a finally refused *operation* stays (True) or is rolled back (False)."""
        ...

    def resolve(self, conflict: NewConflict) -> Choice | None:
        """Choose a way out of *conflict*; None: the default."""
        ...
