"""The live table of ``maildock status --watch``: what gives way where there is little room."""

from io import StringIO

from rich.console import Console

from provider.cli.watching import drawn


def test_an_errors_text_gives_way_before_any_figure_does() -> None:
    row = {
        "account": "work",
        "state": "failed",
        "phase": "",
        "alert_since": None,
        "done": 0,
        "total": 0,
        "state_at": "2026-11-24T19:20:00+00:00",
        "last_success": "2026-11-24T18:07:00+00:00",
        "messages": 30_020,
        "unseen": 1_234,
        "bodies": 30_019,
        "pending": 7,
        "store_version": 78_447,
        "last_error": "127.0.0.1 refuses connections on port 1; " * 4,
    }
    console = Console(file=StringIO(), width=130)
    console.print(drawn([row]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for whole in ("failed", "30,020", "1,234", "30,019", "78447", "127.0.0.1 refuses"):
        assert whole in shown
    assert shown.count("2026-11-24 ") == 2 and "\u2026" in shown
    assert len(shown.rstrip().splitlines()) == 4  # a blank one, heads, a rule, and one line for the account
