"""T29: whatever happens around a refresh, the account is not lost (O8). Two processes with two threads each, 200 times.

Slow answers, trouble, nonsense, answers that are lost, a server that forgets what it answered, clocks that are days
off, and a process that dies between the answer and its commit.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from provider.access.filevault import FileVault
from provider.access.tokens import OAUTH, Tokens

from ..crash.forks import STOPPED, ForkServer
from ..servers.oauth_server import CLIENT_ID, Fault, OAuthServer, Rotation

RUNS = 200
DAY = 86_400.0
GENTLE = (None, None, Fault.SLOW, Fault.TROUBLE, Fault.NONSENSE)
"""Faults that a strict server may have: with the others it takes the account away, whatever a client does."""
ROUGH = (*GENTLE, Fault.LOST, Fault.FORGOTTEN)


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer("tests.access.oauth_child") as server:
        yield server


def job(server: OAuthServer, vault: Path, random: Random | None = None, *, dies: bool = False) -> dict[str, object]:
    """Return a job for a child: at a random skew, perhaps dying; without *random* an honest one, a day later."""
    return {
        "url": server.url,
        "client_id": CLIENT_ID,
        "vault": str(vault),
        "skew": random.choice([0.0, 0.0, -DAY, 3600.0, 400 * DAY]) if random else DAY,
        "put": random.randint(1, 2) if random and dies else 0,
        "behind": bool(random and random.random() < 0.3),
    }


def signed_in(server: OAuthServer, vault: Path, random: Random) -> None:
    """Put a sign-in into the vault whose access token is old, fresh and unknown to the server, or from the future."""
    sign_in = server.sign_in("jo@example.org")
    obtained = random.choice([0.0, 4e9])
    tokens = Tokens(
        refresh_token=sign_in.refresh, access_token="access-of-before", obtained=obtained, lifetime_seconds=3600
    )
    FileVault(vault).put("work", OAUTH, tokens.text())


def played(forks: ForkServer, vault: Path, seed: int, planted: str = "") -> tuple[list[str], Counter[str]]:
    """Play run *seed*; return what is wrong with it, and what was met."""
    random, met = Random(seed), Counter[str]()
    rotation = random.choice(list(Rotation))
    strict = rotation is Rotation.STRICT
    with OAuthServer(rotation=rotation) as server:
        signed_in(server, vault, random)
        server.faults = [random.choice(GENTLE if strict else ROUGH) for _ in range(random.randint(0, 5))]
        met.update(fault.value for fault in server.faults if fault)
        jobs = [job(server, vault, random, dies=not strict and random.random() < 0.5) for _ in range(2)]
        ended = [forks.wait(pid) for pid in [forks.start(one | {"planted": planted}) for one in jobs]]
        met.update("died" if one.code == STOPPED else "lived" for one in ended)
        server.faults.clear()
        ended.append(forks.run(job(server, vault) | {"planted": planted}))

        told = json.dumps([seed, rotation.value, [(one.code, one.report) for one in ended]])
        wrong = {
            "a process failed": not {one.code for one in ended} <= {0, STOPPED} or ended[-1].code != 0,
            "somebody was not let in": any(one.report["ends"] != ["in", "in"] for one in ended if one.code == 0),
            "the sign-in was revoked": any(sign_in.revoked for sign_in in server.sign_ins),
            "two asked at once": any(sign_in.most_inside > 1 for sign_in in server.sign_ins),
        }
    return [f"{text}: {told}" for text, is_so in wrong.items() if is_so], met


@pytest.mark.parametrize("part", range(4))
def test_no_account_is_lost_by_what_happens_around_a_refresh(tmp_path: Path, forks: ForkServer, part: int) -> None:
    met: Counter[str] = Counter()
    for seed in range(part, RUNS, 4):
        wrong, met_here = played(forks, tmp_path / f"vault-{seed}.json", seed)
        assert wrong == []
        met += met_here
    assert {*met} == {"died", "lived", *(fault.value for fault in Fault)}, "a run that met no fault proves nothing"
    print(f"T29, part {part}: {RUNS // 4} runs, 0 lost; met {dict(met)}")


@pytest.mark.parametrize("planted", ["Unlocked", "Forgetful", "Shortsighted"])
def test_a_planted_fault_loses_accounts_and_is_found(tmp_path: Path, forks: ForkServer, planted: str) -> None:
    assert any(played(forks, tmp_path / f"vault-{seed}.json", seed, planted)[0] for seed in range(RUNS))


def test_a_strict_server_whose_answer_was_never_written_down_ends_in_sign_in_again(
    tmp_path: Path, forks: ForkServer
) -> None:
    vault = tmp_path / "vault.json"
    with OAuthServer(rotation=Rotation.STRICT) as server:
        signed_in(server, vault, Random(1))
        died = forks.run(job(server, vault) | {"put": 1})
        after = forks.run(job(server, vault))

        assert (died.code, after.report) == (STOPPED, {"ends": ["lost", "lost"]})
        assert server.sign_ins[0].asked == 2, "a refresh token that was called invalid is not shown again"
