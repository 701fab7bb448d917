"""The examples do what they say, as programs of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_embedding_example_synchronizes_and_reads(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "embed.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Lunch? from Ann" in lines
    assert lines[0] == "work: started, 0 messages"
    assert "INBOX: succeeded, 1 messages" in lines
    assert "complete: 1 new" in lines
    assert (tmp_path / "mail.db").stat().st_mode & 0o777 == 0o600
