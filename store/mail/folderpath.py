"""Where a folder hangs in its account's tree, and what it is for.

A path is a tuple of decoded names, so a name may hold any character, the server's delimiter of another folder
included. The server's own octets are the key of a folder (they live beside the path); the path is for people.
"""

from dataclasses import dataclass
from enum import Enum

__all__ = ["FolderPath", "Role"]


class Role(Enum):
    """What a folder is for (RFC 6154, RFC 8457), and INBOX."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    IMPORTANT = "important"
    FLAGGED = "flagged"
    ARCHIVE = "archive"
    ALL = "all"
    JUNK = "junk"
    TRASH = "trash"


@dataclass(frozen=True, slots=True, order=True)
class FolderPath:
    """Decoded names from the root down. Never empty; no name is empty of meaning, but may be the empty string."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("a folder path has at least one name")

    @property
    def name(self) -> str:
        """The folder's own name, without its parents."""
        return self.names[-1]

    @property
    def parent(self) -> "FolderPath | None":
        """The path above, or None at the root."""
        return FolderPath(self.names[:-1]) if len(self.names) > 1 else None

    def __str__(self) -> str:
        """The path for people: names joined by ``/``, a slash or backslash inside a name escaped by ``\\``.

        >>> str(FolderPath(("Lists", "a/b")))
        'Lists/a\\\\/b'
        """
        return "/".join(name.replace("\\", "\\\\").replace("/", "\\/") for name in self.names)

    @classmethod
    def parse(cls, text: str) -> "FolderPath":
        """Return the path that prints as *text*.

        >>> FolderPath.parse("Lists/a\\\\/b").names
        ('Lists', 'a/b')
        """
        names: list[str] = [""]
        chars = iter(text)
        for char in chars:
            if char == "/":
                names.append("")
            else:
                names[-1] += next(chars, "") if char == "\\" else char
        return cls(tuple(names))
