"""Mail in local files, read-only: Maildir and mbox, through the stdlib's ``mailbox``.

The proof that the seam is not IMAP-shaped, and the way for people to bring old mail into a store.
"""

from .maildir import maildir_source
from .mbox import mbox_source

__all__ = ["maildir_source", "mbox_source"]
