"""Sixty strings with which outsiders try to say more than they were asked.

Room: tests/servers. Each may arrive as a user, a password, a host, a folder name, a header name or a search term;
wherever it gets to, the wire must hold exactly one command, or none.
"""

__all__ = ["INJECTIONS"]

_LINE_ENDS = (
    "a\r\nX1 NOOP",
    "a\nX1 NOOP",
    "a\rX1 NOOP",
    "\r\n",
    "\n",
    "\r",
    "a\r\n",
    "\r\na",
    "a\r\n\r\nb",
    "a\n\rb",
    'a"\r\nX1 DELETE INBOX\r\n"',
    "a\r\nX1 LOGOUT\r\n",
    "a\x0bX1 NOOP",
    "a\x0cX1 NOOP",
    "a\x85X1 NOOP",
    "a\u2028X1 NOOP",
    "a\u2029X1 NOOP",
    "a\u010a\u010dX1 NOOP",  # low octets are LF and CR: an encoder that cuts makes line ends of them
    "\uff0d\uff0aX1 NOOP",
)

_CONTROLS = (
    "\0",
    "a\0b",
    "a\0\r\nX1 NOOP",
    "a\x01auth=Bearer stolen\x01\x01",
    "a\x1b[2J",
    "a\x7fb",
    "a\x08\x08b",
    "a\tb",
    "\x1a",
    "\ufeffa",
    "\u202etxt.exe",
    "a\ud800b",
)

_QUOTES = (
    '"',
    '""',
    '"a',
    'a"',
    'a" NOOP "b',
    'a\\" X1 NOOP "',
    "\\",
    "a\\",
    '\\"',
    "\\\\",
    "a b",
    " ",
    "(a)",
    "a) (b",
    "a]b[c",
    "*",
    "%",
)

_LITERALS = (
    "{5}",
    "a{5}",
    "{5+}",
    "a {5+}\r\nhello",
    "~{5}",
    "{-1}",
    "{99999999999}",
)

_ENCODINGS = (
    "&AAo-X1 NOOP",  # modified UTF-7 of LF
    "&AA0ACg-",
    "%0d%0aX1%20NOOP",
)

_LENGTHS = (
    "a" * 9_000,
    "\u00e4" * 100_000,
)

INJECTIONS: tuple[str, ...] = _LINE_ENDS + _CONTROLS + _QUOTES + _LITERALS + _ENCODINGS + _LENGTHS
