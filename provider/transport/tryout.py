"""Tries an account's way out without sending anything: for settings that somebody has just typed in."""

from ..account import Account
from ..cancel import Stop
from ..errors import InvalidRequest
from .smtp import smtp_transport

__all__ = ["try_way_out"]


def try_way_out(account: Account, stop: Stop | None = None) -> None:
    """Connect to the submission server of *account*, protect the line, log in, and leave. Blocks.

    Raises InvalidRequest for an account without a way out, and what a transport's ``open`` raises.
    """
    if account.smtp is None:
        raise InvalidRequest(f"Account {account.id} has no way out: no submission server was named.")
    smtp_transport(account).open(stop or Stop()).close()
