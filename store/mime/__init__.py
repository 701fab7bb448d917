"""Octets to values: headers, parts, text. No SQL, no I/O; the only room that knows what MIME is.

Raw octets are the truth and never depend on what is understood here. Everything read is hostile: work is bounded, and
what is too deep, too wide or too large is a ``MimeLimit``, never another error. ``scan_header`` never raises.
"""

from .charset import decode_text
from .fields import safe_filename
from .header import scan_header, split_header, was_on_the_way
from .html import html_to_text
from .limits import DEFAULT_LIMITS, MimeLimits
from .parts import Part, PartTree, part_bytes, parts
from .text import preview, text

__all__ = [
    "DEFAULT_LIMITS",
    "MimeLimits",
    "Part",
    "PartTree",
    "decode_text",
    "html_to_text",
    "part_bytes",
    "parts",
    "preview",
    "safe_filename",
    "scan_header",
    "split_header",
    "text",
    "was_on_the_way",
]
