"""`Recorder`: a relay for one connection that writes down what passes, as a transcript for `ScriptedServer`.

Room: tests/servers. Tags become `{t1}`, `{t2}`, ...; what the client says in ID (its version) becomes `{*}`. Lines
must end in CRLF; octets that are not printable ASCII are written as `\\xNN`.
"""

from __future__ import annotations

import re
import select
import socket
import threading
from types import TracebackType

__all__ = ["Recorder"]

HANG_GUARD_SECONDS = 5.0


class Recorder:
    """Relays the first connection to `host:port` on to 127.0.0.1:*target_port*. A context manager."""

    def __init__(self, target_port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = "127.0.0.1", self._listener.getsockname()[1]
        self._target_port = target_port
        self._passed: list[tuple[str, bytes]] = []
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(HANG_GUARD_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._target_port)) as server:
            while True:
                for source in select.select([client, server], [], [], HANG_GUARD_SECONDS)[0]:
                    octets = source.recv(65536)
                    if not octets:
                        return
                    self._passed.append(("C" if source is client else "S", octets))
                    (server if source is client else client).sendall(octets)

    def transcript(self, *remarks: str) -> bytes:
        """Return what passed as a transcript, *remarks* on top; call it after the connection has ended."""
        lines = [b"# " + remark.encode() for remark in remarks]
        tags: dict[bytes, bytes] = {}
        asked = False  # a line behind a continuation is no command: it has no tag
        for who, octets in self._in_turns():
            for line in octets.removesuffix(b"\r\n").split(b"\r\n"):
                text = line.replace(b"\\x", b"\\x5cx")
                if who == "C":
                    text = text if asked else _with_named_tag(text, tags)
                else:
                    for tag, name in tags.items():
                        text = re.sub(rb'(\A|\(TAG ")' + re.escape(tag) + rb'(?=[ "])', rb"\1" + name, text)
                shown = re.sub(rb"[^ -~]", lambda match: b"\\x%02x" % match[0][0], text)
                lines.append(f"{who}: ".encode() + shown if shown else f"{who}:".encode())
            asked = who == "S" and octets.startswith(b"+ ")
        return b"\n".join(lines) + b"\n"

    def _in_turns(self) -> list[tuple[str, bytes]]:
        """Join neighbours of one side, so that no line is torn by the packet it came in."""
        turns: list[tuple[str, bytes]] = []
        for who, octets in self._passed:
            if turns and turns[-1][0] == who:
                turns[-1] = (who, turns[-1][1] + octets)
            else:
                turns.append((who, octets))
        return turns


def _with_named_tag(line: bytes, tags: dict[bytes, bytes]) -> bytes:
    tag, space, rest = line.partition(b" ")
    name = tags.setdefault(tag, b"{t%d}" % (len(tags) + 1))
    if rest.startswith(b"ID ("):
        rest = b"ID {*}"
    return name + space + rest
