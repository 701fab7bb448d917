"""The octets of a message on their way out: read piece by piece, proven before the first of them is sent."""

from collections.abc import Iterator
from hashlib import blake2b

from store import MailStore, StoreDamaged
from store.mail import MessageKey

from ..sources.writing import Upload

__all__ = ["upload_of"]


def upload_of(store: MailStore, key: MessageKey) -> Upload:
    """Return a message as it is to be added. Raises StoreError: it is not here any more, or not as it was written.

    Each piece is read in a view of its own: none is kept while the network is waited for.
    """
    with store.read() as view:
        told = view.upload(key)

    def octets() -> Iterator[bytes]:
        number = 0
        while True:
            with store.read() as view:
                piece = view.raw_piece(key, number)
            if piece is None:
                return
            number += 1
            yield piece

    running = blake2b(digest_size=len(told.digest))
    for piece in octets():
        running.update(piece)
    if running.digest() != told.digest:
        raise StoreDamaged("the octets of a message are not those that were written; run a check")
    return Upload(octets=octets, size=told.size, flags=told.flags, internal_date=told.internal_date)
