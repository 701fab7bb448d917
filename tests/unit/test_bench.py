"""The benchmark's own pure parts: its mail, and how figures are judged and shown."""

from __future__ import annotations

import email
import json
from itertools import islice

import pytest

from tests.bench.corpus import corpus
from tests.bench.figures import Figure, Machine, Samples, as_json, as_markdown, percentile

MACHINE = Machine(
    processor="P",
    cores=2,
    memory_octets=8_000_000_000,
    system="S",
    python="3.11",
    disk="ext4",
    server="D",
    load=0.0,
    when="2026-11-20",
)


def test_a_corpus_is_the_same_each_time_and_a_short_one_is_the_beginning_of_a_long_one() -> None:
    assert list(corpus(40)) == list(islice(corpus(400), 40))


def test_mail_of_the_corpus_is_mail_with_crlf_and_what_its_header_says() -> None:
    for message in corpus(200):
        assert message.octets.count(b"\n") == message.octets.count(b"\r\n") == message.octets.count(b"\r")
        parsed = email.message_from_bytes(message.octets)
        assert not parsed.defects
        assert parsed["Message-ID"]
        assert parsed.is_multipart() == ("boundary" in parsed["Content-Type"])


def test_small_mail_is_small_and_later_mail_is_newer_and_other_mail() -> None:
    small = list(corpus(300, small=True))
    assert sum(len(one.octets) for one in small) < 300 * 2_000
    assert {email.message_from_bytes(one.octets).get_content_type() for one in small} == {"text/plain"}
    later = list(corpus(20, small=True, seed=7, first=1_000))
    assert min(one.internal_date for one in later) > max(one.internal_date for one in small)
    assert {one.octets for one in later}.isdisjoint(one.octets for one in small)


def test_without_attachments_no_message_has_one() -> None:
    kinds = {email.message_from_bytes(one.octets).get_content_type() for one in corpus(300, attachments=False)}
    assert kinds == {"text/plain", "multipart/alternative"}
    assert any(b"multipart/mixed" in one.octets for one in corpus(300))


@pytest.mark.parametrize(("theirs", "limit", "held"), [(4.0, 0.5, True), (3.9, 0.5, False), (4.0, None, None)])
def test_beside_a_peer_the_ratio_of_medians_is_judged(theirs: float, limit: float | None, held: bool | None) -> None:
    figure = Figure(name="f", ours=Samples((9.0, 2.0, 1.0)), peer="p", theirs=Samples((theirs,)), limit=limit)
    assert figure.held is held
    assert figure.measured == pytest.approx(2.0 / theirs)


@pytest.mark.parametrize(("octets", "held"), [(120_000_000, True), (120_000_001, False)])
def test_alone_the_value_itself_is_judged(octets: int, held: bool) -> None:
    assert Figure(name="f", ours=Samples((octets,), "MB"), limit=120_000_000).held is held


@pytest.mark.parametrize(("flights", "held"), [(25.0, True), (26.0, False)])
def test_beside_a_peer_our_own_value_can_be_what_is_judged(flights: float, held: bool) -> None:
    theirs = Samples((607.0,), "flights")
    figure = Figure(name="f", ours=Samples((flights,), "flights"), peer="p", theirs=theirs, limit=25, by_value=True)
    assert figure.held is held
    assert figure.ratio == pytest.approx(flights / 607)
    assert "≤ 25 flights" in as_markdown([figure], MACHINE)


def test_our_own_value_is_judged_also_where_the_peer_is_missing() -> None:
    figure = Figure(
        name="f", ours=Samples((5.0,), "flights"), peer="p", limit=4, by_value=True, missing="p is not installed"
    )
    assert figure.held is False
    assert figure.ratio is None
    line = as_markdown([figure], MACHINE).splitlines()[-1]
    assert "**not measured: p is not installed**" in line
    assert "**NO**" in line


@pytest.mark.parametrize(
    ("limit", "goal", "shown"),
    [(0.8, 0.6, "≤ 0.8 ×, goal 0.6 ×"), (1 / 40, None, "≤ 1/40 ×"), (0.25, None, "≤ 0.25 ×"), (1.5, None, "≤ 1.5 ×")],
)
def test_a_ratio_is_said_as_people_say_it(limit: float, goal: float | None, shown: str) -> None:
    assert (
        Figure(name="f", ours=Samples((1.0,)), peer="p", theirs=Samples((9.0,)), limit=limit, goal=goal).target == shown
    )


def test_the_whole_process_stands_beside_the_time_from_call_to_done() -> None:
    figure = Figure(name="f", ours=Samples((2.0,)), whole=Samples((3.0,)))
    assert "| f | 2.00 s (1 run) | 3.00 s (1 run) | — |" in as_markdown([figure], MACHINE)
    assert as_json([figure])[0]["whole_process"] == [3.0]


def test_what_is_counted_is_shown_as_a_number_and_runs_alike_are_said_once() -> None:
    assert str(Samples((3.0, 3.0, 3.0), "flights")) == "3 flights (3 runs)"
    assert str(Samples((1_200.0, 1_300.0), "octets")) == "1,250 octets (min 1,200 octets, 2 runs)"


def test_what_was_not_measured_is_neither_held_nor_broken_and_is_said_loudly() -> None:
    figure = Figure(name="f", ours=Samples((1.0,)), peer="mbsync", limit=1.5, missing="mbsync is not installed")
    assert figure.held is None
    assert "**not measured: mbsync is not installed**" in as_markdown([figure], MACHINE)


def test_a_broken_target_stands_out_in_the_table_and_its_runs_are_in_the_record() -> None:
    figure = Figure(name="f", ours=Samples((2.0, 4.0, 3.0)), limit=1.0)
    assert "| 3.00 s (min 2.00 s, 3 runs) | — | — | — | — | ≤ 1.00 s | **NO** |" in as_markdown([figure], MACHINE)
    (record,) = json.loads(json.dumps(as_json([figure])))
    assert (record["ours"], record["measured"], record["held"]) == ([2.0, 4.0, 3.0], 3.0, False)


@pytest.mark.parametrize(("share", "meant"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_percentile_is_a_run_that_was_measured(share: float, meant: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == meant
