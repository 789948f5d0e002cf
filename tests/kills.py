"""Workers that are killed, or asked to end, at seeded moments under load."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from dataflows.demo.page import scrape
from tests.history import History, Outcome
from tests.living import LivingCluster, LivingWorker, gone, kill, wait_for

Say = Callable[[str], None]
PACE = 10.0  # s of traffic a second: 90 vehicles at 1 Hz are 900 messages a second
STARTING = 0.15  # share of the kills that hit a worker that is still starting
START = 2.0  # s in which these fall
LIFE = 4.0  # s after it is ready: a dozen snapshots
MEMBERS = 3  # kills of a member at most before all are killed: pauses grow with each, and eight end the cluster


def kill_one(folder: Path, broker: str, seed: int, count: int, chapters: int, say: Say = print) -> tuple[Outcome, int]:
    """SIGKILL `count` times, each time to a worker that resumes from what the one before had saved.

    `chapters` of traffic should last so long; what is left of it is played at once. Also says how many had delivered something.
    """
    history, dice = History(folder, broker, seed, chapters), random.Random(seed)
    history.make_topics()
    delivered = 0
    with history.playing(PACE):
        for number in range(count):
            say(f"kill {number + 1} of {count}")
            worker = history.worker()
            _live(worker.wait_ready, dice)
            delivered += _delivered(worker)
            assert worker.stop(signal.SIGKILL) == -signal.SIGKILL, f"it ended before the kill, again with seed {seed}"
    return history.end(), delivered


def kill_cluster(
    folder: Path, broker: str, seed: int, count: int, chapters: int, processes: int = 2, say: Say = print
) -> tuple[Outcome, int]:
    """The same with a cluster: one member, all of it, or the supervisor alone, as the dice say."""
    history, dice = History(folder, broker, seed, chapters), random.Random(seed)
    history.make_topics()
    left, delivered = count, 0
    with history.playing(PACE):
        while left:
            cluster = history.cluster(processes)
            members: list[int] = []
            for _ in range(min(left, dice.randint(1, MEMBERS)) - 1):
                say(f"kill {count - left + 1} of {count}: a member")
                members = _ready(cluster, members)
                _live(cluster.check, dice)
                delivered += _delivered(cluster)
                kill(dice.choice(members))
                left -= 1
            members = _ready(cluster, members)
            _live(cluster.check, dice)
            delivered += _delivered(cluster)
            everybody = dice.random() < 0.7
            say(f"kill {count - left + 1} of {count}: {'all' if everybody else 'the supervisor'}")
            kill(cluster.child.pid, *(members if everybody else []))
            cluster.child.wait()
            _wait_until_gone(members)
            left -= 1
    return history.end(), delivered


def stop_often(
    folder: Path, broker: str, seed: int, count: int, chapters: int, say: Say = print
) -> tuple[Outcome, list[float]]:
    """SIGTERM `count` times; also says how many seconds each end took."""
    history, dice = History(folder, broker, seed, chapters), random.Random(seed)
    history.make_topics()
    took = []
    with history.playing(PACE):
        for number in range(count):
            say(f"stop {number + 1} of {count}")
            with history.worker() as worker:
                _live(worker.check, dice)
                asked = time.monotonic()
                code = worker.stop()
                took.append(time.monotonic() - asked)
                assert code == 0, f"exit code {code}, again with seed {seed}"
    outcome = history.end()
    assert outcome.duplicates == 0, f"a drained worker said something again, again with seed {seed}"
    assert not history.troubles("warning", "error", "critical")
    return outcome, took


def _delivered(worker: LivingWorker) -> bool:
    """Whether it has delivered anything in its life; in a cluster, whichever of them has the producers."""
    pages = [scrape(url) for url in worker.urls]
    return any(page is not None and page.total("delivered_messages_total") > 0 for page in pages)


def _live(ready: Callable[[], None], dice: random.Random) -> None:
    """Until the seeded moment comes."""
    if dice.random() < STARTING:
        time.sleep(dice.uniform(0, START))
    else:
        ready()
        time.sleep(dice.uniform(0, LIFE))


def _ready(cluster: LivingCluster, before: list[int]) -> list[int]:
    """The members, once all are ready and none is one of those before."""

    def look() -> list[int] | None:
        cluster.check()
        members = cluster.members()
        fresh = len(members) == cluster.processes and not set(members) & set(before)
        return members if fresh and cluster.ready() else None

    return wait_for(look, "the cluster is ready")


def _wait_until_gone(members: list[int]) -> None:
    wait_for(lambda: all(map(gone, members)), "the members end with their supervisor")
