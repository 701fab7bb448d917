"""Where it was measured: the machine, its disk, and whose programs.

Room: tests/bench.
"""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ..servers.dovecot import DOVECOT
from .figures import Machine
from .peers import peer_versions

__all__ = ["BUSY_LOAD", "this_machine"]

BUSY_LOAD = 0.5
"""From this one-minute load on, figures are worth little."""


def this_machine(directory: Path, load: float) -> Machine:
    """Describe this machine; *directory* lies on the disk that is written to."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_octets=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        disk=_file_system(directory),
        server=f"Dovecot {_dovecot_version()} (mdbox, loopback), {peer_versions()}",
        load=load,
        when=datetime.now(UTC).date().isoformat(),
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """Return the type of the file system; "unknown" where df cannot tell (it is GNU's that can)."""
    told = subprocess.run(["df", "--output=fstype", str(directory)], capture_output=True, text=True)
    return told.stdout.split()[-1] if told.returncode == 0 else "unknown"


def _dovecot_version() -> str:
    if DOVECOT is None:
        return "not installed"
    return subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
