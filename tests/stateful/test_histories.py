"""Random histories of one account, two clients and a third program on a real Dovecot: at the end all three agree.

A failure prints the calls that led to it: they become a named test in `test_found.py`.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ..servers.dovecot import DovecotAccount, Profile
from .world import World

pytestmark = pytest.mark.servers

PROFILES = tuple(Profile)
HISTORIES, STEPS = 40, 15
SOAK_HISTORIES, SOAK_STEPS = 2_000, 30
WHO, WHICH, WHERE, NAME = st.integers(0, 1), st.integers(0, 9), st.integers(0, 7), st.integers(0, 4)
FLAG, FLAG_OR_NONE, FORM, YES = st.integers(0, 3), st.integers(0, 5), st.integers(0, 2), st.booleans()
AT = st.integers(0, 4_000)
"""Octets of one direction of a synchronization until the line breaks: a whole one has one to five thousand."""
VERBS: dict[str, tuple[int, tuple[st.SearchStrategy[int], ...]]] = {
    "append_here": (4, (WHO, WHERE, FORM, FLAG_OR_NONE)),
    "mark_here": (4, (WHO, WHICH, FLAG, YES)),
    "move_here": (6, (WHO, WHICH, WHERE)),
    "copy_here": (3, (WHO, WHICH, WHERE)),
    "delete_here": (3, (WHO, WHICH, YES)),
    "create_here": (2, (WHO, NAME)),
    "rename_here": (2, (WHO, WHERE, NAME)),
    "remove_folder_here": (2, (WHO, WHERE)),
    "append_there": (2, (WHERE, FORM, FLAG_OR_NONE)),
    "mark_there": (2, (WHICH, FLAG, YES)),
    "move_there": (3, (WHICH, WHERE)),
    "copy_there": (2, (WHICH, WHERE)),
    "delete_there": (2, (WHICH,)),
    "create_there": (1, (NAME,)),
    "rename_there": (1, (WHERE, NAME)),
    "remove_folder_there": (1, (WHERE,)),
    "renumber": (1, (WHERE,)),
    "rebuild": (1, (WHERE,)),
    "offline": (1, (WHO, YES)),
    "look": (2, (WHO,)),
    "sync": (8, (WHO,)),
    "sync_cut": (4, (WHO, AT, YES, YES)),
    "sync_killed": (3, (WHO, AT, YES)),
}
"""How often each comes, and what it is told. One rule draws them: of many rules hypothesis takes a few a history."""
STEP = st.sampled_from([verb for verb, (weight, _) in VERBS.items() for _ in range(weight)]).flatmap(
    lambda verb: st.tuples(st.just(verb), *VERBS[verb][1])
)
Accounts = Callable[[Profile], DovecotAccount]


class Histories(RuleBasedStateMachine):
    """One history; *accounts* gives a new user."""

    accounts: Accounts

    def __init__(self) -> None:
        super().__init__()
        self._world: World | None = None

    @initialize(profile=st.sampled_from(PROFILES), mail=st.integers(0, 6), asks=st.sampled_from([False, False, True]))
    def begin(self, profile: Profile, mail: int, asks: bool) -> None:
        self._asks = asks  # mbsync, at the end
        self._world = World(type(self).accounts(profile)).__enter__()
        self._world.script.append(f"with World(accounts({profile})) as world:")
        for number in range(mail):
            self.do("append_there", number % 3, number, number)

    def do(self, verb: str, *numbers: int) -> None:
        assert self._world is not None
        self._world.play(verb, *numbers)

    @rule(drawn=STEP)
    def step(self, drawn: tuple[str, int]) -> None:
        verb, *numbers = drawn
        self.do(verb, *numbers)

    def teardown(self) -> None:
        if self._world is None:
            return
        try:
            self._world.come_to_rest()
            if self._asks:
                self._world.second_opinion()
        finally:
            self._world.__exit__(None, None, None)


def play(accounts: Accounts, chosen: settings) -> None:
    machine = type("Played", (Histories,), {"accounts": staticmethod(accounts)})
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]


COMMON = settings(
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a failure prints its calls: making them fewer is done by hand, with `test_found.py`
)


def test_two_clients_and_a_third_program_agree_after_any_history(dovecot_profiles: Accounts) -> None:
    play(dovecot_profiles, settings(COMMON, max_examples=HISTORIES, stateful_step_count=STEPS, derandomize=True))


@pytest.mark.soak
def test_they_agree_after_thousands_of_long_histories(dovecot_profiles: Accounts) -> None:
    play(dovecot_profiles, settings(COMMON, max_examples=SOAK_HISTORIES, stateful_step_count=SOAK_STEPS))
