"""Octets to values: headers, parts, text. No SQL, no I/O; the only room that knows what MIME is.

Raw octets are the truth and never depend on what is understood here. Everything read is hostile.
"""

from .header import scan_header, split_header
from .limits import DEFAULT_LIMITS, MimeLimits

__all__ = ["DEFAULT_LIMITS", "MimeLimits", "scan_header", "split_header"]
