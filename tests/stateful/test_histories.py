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

    @rule(who=WHO, where=WHERE, form=FORM, flag=FLAG_OR_NONE)
    def append_here(self, who: int, where: int, form: int, flag: int) -> None:
        self.do("append_here", who, where, form, flag)

    @rule(who=WHO, which=WHICH, flag=FLAG, on=YES)
    def mark_here(self, who: int, which: int, flag: int, on: bool) -> None:
        self.do("mark_here", who, which, flag, on)

    @rule(who=WHO, which=WHICH, where=WHERE)
    def move_here(self, who: int, which: int, where: int) -> None:
        self.do("move_here", who, which, where)

    @rule(who=WHO, which=WHICH, where=WHERE)
    def copy_here(self, who: int, which: int, where: int) -> None:
        self.do("copy_here", who, which, where)

    @rule(who=WHO, which=WHICH, for_good=YES)
    def delete_here(self, who: int, which: int, for_good: bool) -> None:
        self.do("delete_here", who, which, for_good)

    @rule(who=WHO, name=NAME)
    def create_here(self, who: int, name: int) -> None:
        self.do("create_here", who, name)

    @rule(who=WHO, where=WHERE, name=NAME)
    def rename_here(self, who: int, where: int, name: int) -> None:
        self.do("rename_here", who, where, name)

    @rule(who=WHO, where=WHERE)
    def remove_folder_here(self, who: int, where: int) -> None:
        self.do("remove_folder_here", who, where)

    @rule(where=WHERE, form=FORM, flag=FLAG_OR_NONE)
    def append_there(self, where: int, form: int, flag: int) -> None:
        self.do("append_there", where, form, flag)

    @rule(which=WHICH, flag=FLAG, on=YES)
    def mark_there(self, which: int, flag: int, on: bool) -> None:
        self.do("mark_there", which, flag, on)

    @rule(which=WHICH, where=WHERE)
    def move_there(self, which: int, where: int) -> None:
        self.do("move_there", which, where)

    @rule(which=WHICH, where=WHERE)
    def copy_there(self, which: int, where: int) -> None:
        self.do("copy_there", which, where)

    @rule(which=WHICH)
    def delete_there(self, which: int) -> None:
        self.do("delete_there", which)

    @rule(name=NAME)
    def create_there(self, name: int) -> None:
        self.do("create_there", name)

    @rule(where=WHERE, name=NAME)
    def rename_there(self, where: int, name: int) -> None:
        self.do("rename_there", where, name)

    @rule(where=WHERE)
    def remove_folder_there(self, where: int) -> None:
        self.do("remove_folder_there", where)

    @rule(where=WHERE)
    def renumber(self, where: int) -> None:
        self.do("renumber", where)

    @rule(where=WHERE)
    def rebuild(self, where: int) -> None:
        self.do("rebuild", where)

    @rule(who=WHO, now=YES)
    def offline(self, who: int, now: bool) -> None:
        self.do("offline", who, now)

    @rule(who=WHO)
    def sync(self, who: int) -> None:
        self.do("sync", who)

    @rule(who=WHO)
    def look(self, who: int) -> None:
        self.do("look", who)

    @rule(who=WHO, at=AT, up=YES, reset=YES)
    def sync_cut(self, who: int, at: int, up: bool, reset: bool) -> None:
        self.do("sync_cut", who, at, up, reset)

    @rule(who=WHO, at=AT, up=YES)
    def sync_killed(self, who: int, at: int, up: bool) -> None:
        self.do("sync_killed", who, at, up)

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
