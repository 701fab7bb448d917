"""One suite, every handler: maildock's own, the example's, and one that does not behave, which the suite finds out."""

from pathlib import Path
from unittest import SkipTest

import pytest

from provider.testing.conformance import CHECKS, check

from .subjects import MISCHIEF, Bad, Files, Mail

GUARD_SECONDS = 10.0


@pytest.mark.parametrize("name", CHECKS)
def test_the_handler_of_mail_conforms(name: str, tmp_path: Path) -> None:
    check(name, Mail(tmp_path))


@pytest.mark.parametrize("name", CHECKS)
def test_the_example_conforms(name: str, tmp_path: Path) -> None:
    check(name, Files(tmp_path))


@pytest.mark.parametrize("name", CHECKS)
def test_a_handler_without_a_fault_conforms(name: str) -> None:
    check(name, Bad("no mischief"))


@pytest.mark.parametrize("mischief", MISCHIEF)
def test_a_handler_that_breaks_a_rule_is_found_out(mischief: str) -> None:
    failed = []
    for name in CHECKS:
        try:
            check(name, Bad(mischief))
        except SkipTest:
            continue
        except Exception:  # whatever a handler makes of it
            failed.append(name)
    assert failed, "the suite let it pass"
