"""Submission by SMTP (RFC 6409). The only room that imports aiosmtplib.

- ``smtp_transport``: the way out of an account.
"""

from .connect import smtp_transport

__all__ = ["smtp_transport"]
