"""Raw octets on their way into the store: hashed, compressed, cut into chunks. Beside SQLite, in any thread.

blake2b and zstd release the interpreter lock, so two threads with an ``Encoder`` each keep two cores busy. What comes
out is only written by ``WriteTransaction``; nothing here knows a database. Digest: blake2b with 32 octets.
"""

import json
import sys
from dataclasses import dataclass
from hashlib import blake2b

from .errors import StoreDamaged
from .instants import micros_or_none, offset_minutes
from .mail import Address, Uid
from .mime import scan_header, split_header

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import CompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError

__all__ = [
    "CHUNK_OCTETS",
    "DIGEST_OCTETS",
    "BodyEncoder",
    "EncodedChunk",
    "EncodedHeader",
    "Encoder",
    "HeaderBlock",
    "expanded",
    "senders_from_text",
]

CHUNK_OCTETS = 262_144
HEADER_OCTETS_MAX = 1_048_576
DIGEST_OCTETS = 32
_LEVEL = 1
_as_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedHeader:
    """A header block ready to be written. ``octets`` is the length of the raw block, ``data`` one zstd frame."""

    digest: bytes
    octets: int
    data: bytes
    subject: str
    senders: str
    """JSON list of [name, address]."""
    date_at: int | None
    date_offset: int
    message_id: str
    received: bool

    def encoded(self, encoder: "Encoder") -> "EncodedHeader":
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderBlock:
    """The header block of a whole message. It is read and compressed only where the store does not have it yet."""

    digest: bytes
    block: bytes

    def encoded(self, encoder: "Encoder") -> EncodedHeader:
        """Return it ready to be written."""
        return encoder.header(self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedChunk:
    """A piece of a message ready to be written: at most 256 kB raw (``octets``), one zstd frame (``data``).

    The last one also carries the digest and the length of the whole message, and its header.
    """

    uid: Uid
    number: int
    octets: int
    data: bytes
    last: bool = False
    digest: bytes | None = None
    octets_total: int = 0
    header: HeaderBlock | None = None


def digest_of(octets: bytes) -> bytes:
    """Return the key under which the store keeps *octets*."""
    return blake2b(octets, digest_size=DIGEST_OCTETS).digest()


class Encoder:
    """Makes what ``WriteTransaction`` writes. One a thread: it reuses its compressor."""

    def __init__(self) -> None:
        # The checksum makes every flipped bit in compressed octets an error when they are read, for 4 octets a frame.
        self._compressor = ZstdCompressor(
            options={CompressionParameter.compression_level: _LEVEL, CompressionParameter.checksum_flag: 1}
        )

    def compress(self, octets: bytes) -> bytes:
        """Return *octets* as one zstd frame."""
        return self._compressor.compress(octets, ZstdCompressor.FLUSH_FRAME)

    def header(self, block: bytes) -> EncodedHeader:
        """Return a raw header *block* ready to be written; any octets will do, none raise."""
        envelope = scan_header(block, listed_only=True)
        return EncodedHeader(
            digest=digest_of(block),
            octets=len(block),
            data=self.compress(block),
            subject=envelope.subject,
            senders=_senders_as_text(envelope.from_),
            date_at=micros_or_none(envelope.date),
            date_offset=offset_minutes(envelope.date) if envelope.date is not None else 0,
            message_id=envelope.message_id,
            received=envelope.received,
        )

    def start(self, uid: Uid) -> "BodyEncoder":
        """Begin the message *uid*; give its octets to ``BodyEncoder.chunk`` in order."""
        return BodyEncoder(self, uid)


class BodyEncoder:
    """One message under way. Holds at most one chunk, and the header block until it is whole (at most 1 MB)."""

    def __init__(self, encoder: Encoder, uid: Uid) -> None:
        self._encoder = encoder
        self._uid = uid
        self._digest = blake2b(digest_size=DIGEST_OCTETS)
        self._held = bytearray()
        self._block: bytes | None = None
        self._head = bytearray()
        self._head_ended = False
        self._number = 0
        self._total = 0

    def chunk(self, octets: bytes, last: bool) -> list[EncodedChunk]:
        """Take the next *octets* (any number) and return the chunks that are full now; with *last* all the rest.

        An empty message gives one empty chunk.
        """
        self._digest.update(octets)
        self._total += len(octets)
        self._keep_head(octets)
        if last and not self._held and len(octets) <= CHUNK_OCTETS:
            return [self._encoded(octets, last=True)]
        self._held += octets
        made: list[EncodedChunk] = []
        while len(self._held) >= CHUNK_OCTETS + last:
            made.append(self._encoded(bytes(self._held[:CHUNK_OCTETS]), last=False))
            del self._held[:CHUNK_OCTETS]
        if last:
            made.append(self._encoded(bytes(self._held), last=True))
            self._held.clear()
        return made

    def _keep_head(self, octets: bytes) -> None:
        """Keep the header block; where it does not end within the first octets, collect them until it does."""
        if self._block is not None or self._head_ended:
            return
        if not self._head:
            first = octets[:HEADER_OCTETS_MAX]
            block, at = split_header(first)
            if at < len(first):
                self._block = block
                return
        looked = max(0, len(self._head) - 3)
        self._head += octets[: HEADER_OCTETS_MAX - len(self._head)]
        recent = bytes(self._head[looked:])
        empty_line = b"\n\n" in recent or b"\n\r\n" in recent or b"\r\r" in recent
        starts_empty = self._head[:1] == b"\n" or (self._head[:1] == b"\r" and len(self._head) > 1)
        self._head_ended = empty_line or starts_empty or len(self._head) >= HEADER_OCTETS_MAX

    def _encoded(self, octets: bytes, *, last: bool) -> EncodedChunk:
        number, self._number = self._number, self._number + 1
        data = self._encoder.compress(octets)
        if not last:
            return EncodedChunk(uid=self._uid, number=number, octets=len(octets), data=data)
        block = self._block if self._block is not None else split_header(bytes(self._head))[0]
        return EncodedChunk(
            uid=self._uid,
            number=number,
            octets=len(octets),
            data=data,
            last=True,
            digest=self._digest.digest(),
            octets_total=self._total,
            header=HeaderBlock(digest=digest_of(block), block=block),
        )


def expanded(data: bytes, octets: int) -> bytes:
    """Return the raw octets of one frame, which must be *octets* long. Raises StoreDamaged, and never grows beyond."""
    try:
        raw = ZstdDecompressor().decompress(data, max_length=octets + 1)
    except ZstdError as error:
        raise StoreDamaged("octets of a message were damaged on disk; run a check, then download it again") from error
    if len(raw) != octets:
        raise StoreDamaged("a piece of a message has another length than was written; run a check")
    return raw


def _senders_as_text(senders: tuple[Address, ...]) -> str:
    return _as_json([[one.name, one.address] for one in senders])


def senders_from_text(text: str) -> tuple[Address, ...]:
    """Return the addresses of ``EncodedHeader.senders``."""
    return tuple(Address(name=name, address=address) for name, address in json.loads(text))
