"""A second opinion: mbsync pulls the account into a Maildir, and what it has must be what a store of ours has.

Room: tests/stateful. mbsync knows the system flags only, writes lines that end in LF, and adds a header field of its
own (X-TUID) to what it brings: these three are made equal before anything is compared.
"""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from store import MailStore

from ..bench.mailserver import Address
from ..bench.peers import LIKE_FOR_LIKE, mbsync_config
from ..scenarios.rig import ME
from ..servers.dovecot import DovecotAccount
from ..servers.require import require_mbsync

__all__ = ["second_opinion"]

Mail = Counter[tuple[bytes, bytes, frozenset[str]]]
"""Folder (wire name), octets, flags."""
_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_OWN_FIELD = re.compile(rb"^X-TUID: [^\n]*\n", re.MULTILINE)


def second_opinion(server: DovecotAccount, store: MailStore, directory: Path) -> list[str]:
    """Let mbsync pull into *directory* (made here); return in what it and *store* differ."""
    require_mbsync()
    directory.mkdir()
    theirs, ours = _pulled(server, directory), _stored(store)
    return [
        *(f"mbsync has a message in {folder!r} with {sorted(flags)}, the store has not: {octets!r}"
          for folder, octets, flags in theirs - ours),
        *(f"the store has a message in {folder!r} with {sorted(flags)}, mbsync has not: {octets!r}"
          for folder, octets, flags in ours - theirs),
    ]  # fmt: skip


def _pulled(server: DovecotAccount, directory: Path) -> Mail:
    address = Address(host=server.host, port=server.port, user=server.user, password=f'"{server.password}"')
    config = directory / "mbsyncrc"
    text = mbsync_config(address, LIKE_FOR_LIKE, directory, all_folders=True)
    # With "Expunge" it would leave out what is marked as deleted; and it need not wait for a disk.
    config.write_text(text.replace("Expunge Near", "Expunge None").replace("FSync yes", "FSync no"))
    program = shutil.which("mbsync")
    assert program is not None
    ended = subprocess.run([program, "-q", "-c", str(config), "bench"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return Counter(
        (
            str(file.parent.parent.relative_to(directory)).encode(),
            _OWN_FIELD.sub(b"", file.read_bytes()).replace(b"\n", b"\r\n"),
            frozenset(_LETTERS[letter] for letter in file.name.rpartition(":2,")[2] if ":2," in file.name),
        )
        for part in ("cur", "new")
        for file in directory.rglob(f"{part}/*")
    )


def _stored(store: MailStore) -> Mail:
    found: Mail = Counter()
    with store.read() as view:
        for folder in view.folders(ME):
            for message in view.messages(folder.id, limit=1000).messages:
                flags = message.flags & frozenset(_LETTERS.values())
                found[folder.name, view.raw(message.key), flags] += 1
    return found
