"""What sending costs on the wire: how fast a stop ends it, the memory of a large message, messages a second.

Room: tests/bench. The server is the tests' own; what it delivered after a stop must be nothing.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from provider.cancel import Stop
from provider.errors import Cancelled
from provider.transport.base import Ended

from ..servers.fakesmtp import FakeSmtp, Manners
from ..servers.relay import Relay
from ..wire.smtp_rig import MESSAGE, Watching, in_thread, letter, opened
from .figures import Figure, Samples, percentile
from .setting import QUICK, Setting

__all__ = ["sending_figures"]

STOPS_EACH, STOPS_EACH_QUICK = 40, 10
MESSAGES, MESSAGES_QUICK = 1_000, 100
LARGE_OCTETS = 25_000_000
MEMORY_OCTETS_MAX = 40_000_000
STOP_SECONDS_P99, STOP_SECONDS_MAX = 0.250, 1.0
DELAY_SECONDS_MAX = 0.02
ENVELOPE_FLIGHTS = 3
"""MAIL and RCPT, DATA, the message."""
PATIENCE_SECONDS = 30.0
ROOT = Path(__file__).parents[2]


def sending_figures(setting: Setting) -> list[Figure]:
    """Stop, weigh and count."""
    setting.say("sending: stops at random moments, a large message, many small ones")
    quick = setting.scale is QUICK
    times = STOPS_EACH_QUICK if quick else STOPS_EACH
    latencies = [seconds for state in ("rcpt", "data", "message", "dot") for seconds in _stops(state, times)]
    figures = [
        Figure(
            name=f"stop while sending, {len(latencies)} random moments, {name}",
            ours=Samples((value,), "ms"),
            limit=limit,
        )
        for name, value, limit in (
            ("p50", percentile(latencies, 0.5), STOP_SECONDS_P99),
            ("p99", percentile(latencies, 0.99), STOP_SECONDS_P99),
            ("worst", max(latencies), STOP_SECONDS_MAX),
        )
    ]
    figures.append(
        Figure(
            name="memory of sending 25 MB, over an open session",
            ours=Samples((_memory_octets(),), "MB"),
            limit=MEMORY_OCTETS_MAX,
        )
    )
    messages = MESSAGES_QUICK if quick else MESSAGES
    seconds, flights = _many(messages)
    figures.append(Figure(name=f"sending {messages:,} small messages in one session", ours=Samples((seconds,))))
    figures.append(
        Figure(
            name="flights of one message in an open session",
            ours=Samples((flights,), "flights"),
            limit=ENVELOPE_FLIGHTS,
        )
    )
    return figures


def _stops(state: str, times: int) -> list[float]:
    return [_stop_once(state, random.Random(number)) for number in range(times)]


def _stop_once(state: str, chance: random.Random) -> float:
    """Return how long a sending takes to end after a stop, while the server holds it up in *state*."""
    held, there, stop = threading.Event(), threading.Event(), Stop()
    stopped = 0.0

    def hold(octets: int) -> None:
        if octets > 50_000:
            there.set()
            held.wait(PATIENCE_SECONDS)

    within = state == "message"
    manners = Manners(window_octets=8_192, before_reading=hold) if within else Manners(holds={state: held})
    octets = b"Subject: s\r\n\r\n" + b"x" * 76 + b"\r\n"
    octets += octets[14:] * (100_000 if within else 0)
    with FakeSmtp(manners) as server, opened(server.port) as session:

        def stop_later() -> None:
            nonlocal stopped
            if within:
                there.wait(PATIENCE_SECONDS)
            else:
                server.wait_for(state)
            time.sleep(chance.uniform(0, DELAY_SECONDS_MAX))
            stopped = time.perf_counter()
            stop.stop()

        stopper = in_thread(stop_later)
        try:
            ended = session.send(letter(octets), Watching(stop=stop)).ended
        except Cancelled:
            ended = Ended.NOT_SENT
        seconds = time.perf_counter() - stopped
        stopper.join()
        held.set()
    if ended is not (Ended.IN_DOUBT if state == "dot" else Ended.NOT_SENT):
        raise RuntimeError(f"a stop in {state} ended as {ended.value}")
    if server.delivered and state != "dot":
        raise RuntimeError(f"a message was delivered after a stop in {state}")
    return seconds


def _memory_octets() -> float:
    with FakeSmtp() as server:
        command = [sys.executable, "-m", "tests.wire.smtp_child", str(server.port), str(LARGE_OCTETS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return max(0.0, float(done.stdout))


def _many(messages: int) -> tuple[float, float]:
    """Return the seconds for so many messages, and the flights of one of them."""
    with FakeSmtp() as server, Relay(server.port) as relay, opened(relay.port) as session:
        started = time.perf_counter()
        before = relay.counts.flights
        for _ in itertools.repeat(None, messages):
            session.send(letter(MESSAGE), Watching())
        seconds, flights = time.perf_counter() - started, relay.counts.flights - before
    return seconds, flights / messages
