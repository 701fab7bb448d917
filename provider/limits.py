"""How much of anything we accept from outside. All settable; each is reported when it is hit.

The defaults are what honest mail needs with room to spare, measured against what hostile servers send.
"""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps of one account's session. Octets, seconds and counts, as the names say."""

    line_octets: int = 1_000_000
    """One line of an answer, literals not counted."""
    literal_octets: int = 64_000_000
    """One literal; a message larger than this is fetched in parts."""
    whole_octets: int = 4_000_000
    """Messages up to this size are fetched in one piece and streamed; larger ones in parts."""
    part_octets: int = 1_000_000
    """One partial FETCH."""
    untagged_rows: int = 200_000
    """Untagged answers of one command."""
    nesting: int = 100
    """Brackets within brackets in an answer."""
    command_octets: int = 8_000
    """One command line of ours."""
    unanswered_octets: int = 16_000
    """Command octets on their way without an answer (servers stop reading beyond their own buffer)."""
    folders: int = 100_000
    folder_name_octets: int = 10_000
    header_octets: int = 1_000_000
    message_octets: int = 2**40
    """A message that claims more is quarantined."""
    connect_seconds: float = 20.0
    """Resolve, connect and TLS, together."""
    greeting_seconds: float = 30.0
    command_seconds: float = 60.0
    """A command's total deadline, plus one second for each ``octets_per_second`` expected."""
    octets_per_second: int = 10_000
    reconnect_seconds: float = 1.0
    """The wait after a connection was lost without progress; it doubles from there. After progress there is none."""
    queue_octets: int = 8_000_000
    """Octets between the connection and the writer."""
    reply_octets: int = 64_000
    """One answer of a submission server, all its lines."""
    envelope_seconds: float = 300.0
    """Until the answer to MAIL or RCPT (RFC 5321 §4.5.3.2)."""
    data_seconds: float = 120.0
    """Until the answer to DATA."""
    block_seconds: float = 180.0
    """Until 64 kB of a message are taken, plus one second for each ``octets_per_second``."""
    end_seconds: float = 600.0
    """Until the answer to the end of a message: giving up earlier doubles mail (RFC 1047)."""
