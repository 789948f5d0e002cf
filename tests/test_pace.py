"""A backlog is read abreast: whoever is far ahead waits in the broker, the slowest never does, and the alerts are the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bytewax.testing import run_main

from dataflows import replay
from dataflows.incidents import flow
from dataflows.intake import NEVER, Chunk, Poll
from dataflows.pace import Pace
from dataflows.settings import Settings, Window
from dataflows.settings_reader import load
from tests import traffic
from tests.faulty import alerts

NAMES = ("a/0", "b/0", "c/0")
LEAD, PANE = 5_000, 1_000


def tick(partition: str, watermark: int, holds: bool = True) -> Chunk:
    return Chunk(partition, watermark, watermark + 2_000, holds, -1)


def paced(**watermarks: int) -> Pace:
    pace = Pace(NAMES, Window(lead=LEAD, pane=PANE))
    for name, watermark in watermarks.items():
        pace.hear(tick(f"{name}/0", watermark))
    return pace


def test_whoever_is_ahead_of_the_slowest_waits() -> None:
    pace = paced(a=100_000, b=150_000, c=105_000)
    assert [pace.ahead(name, at) for name, at in zip(NAMES, (100_000, 150_000, 105_000), strict=True)] == [False, True, False]


def test_nobody_waits_for_the_idle() -> None:
    pace = paced(a=100_000, b=150_000, c=105_000)
    pace.hear(tick("a/0", 100_000, holds=False))
    assert pace.ahead("b/0", 150_000)  # for c
    pace.hear(tick("c/0", 105_000, holds=False))
    assert not pace.ahead("b/0", 150_000)


def test_everybody_speaks_once_before_anybody_waits() -> None:
    """All have a watermark after a restart, and none was heard: if all waited for all nothing would move again."""
    pace = paced()
    assert not any(pace.ahead(name, 100_000) for name in NAMES)
    pace.hear(tick("a/0", 100_000))
    assert pace.ahead("a/0", 100_000)  # nobody knows how far behind the others are
    assert not pace.ahead("b/0", 900_000)


@pytest.mark.parametrize("seed", range(20))
def test_the_slowest_never_waits(seed: int) -> None:
    """However old the news of the others is: what is heard is of the last pane in which a partition spoke."""
    dice, pace = random.Random(seed), paced(a=0, b=0, c=0)
    at, heard = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0)
    for step in range(2_000):
        free = [name for name in NAMES if not pace.ahead(name, at[name])]
        assert free, f"all wait for all after step {step} of seed {seed}: {at}, heard {heard}"
        assert max(at.values()) - min(at.values()) <= LEAD + PANE + 8_000
        name = dice.choice(free)
        at[name] += dice.choice((1, 300, 8_000))
        if at[name] // PANE != heard[name] // PANE:
            heard[name] = at[name]
            pace.hear(tick(name, at[name]))


class Watched(replay.FilePartition):
    """Notes by how much each partition was ahead of the slowest of the others whenever it was read."""

    all: list[Watched]
    leads: list[int]

    def next_batch(self) -> list[Poll]:
        others = [each._intake.watermark for each in self.all if each is not self and not each._ended]
        before, offset = self._intake.watermark, self._offset
        polls = super().next_batch()
        if self._offset > offset and before != NEVER and others:
            self.leads.append(before - min(others) if min(others) != NEVER else 0)
        return polls


def _run(folder: Path, files: list[tuple[str, str]], lead: int) -> tuple[list[bytes], list[int]]:
    settings = load(None, {"kafka": {"poll_messages": 40}, "privacy": {"key": "the key"}, "window": {"lead": lead}})
    out = folder / f"{lead}.jsonl"
    leads: list[int] = []
    parts: list[Watched] = []
    ends = replay.ends([(Path(path), form) for path, form in files], settings, out)

    class Source(replay.FileSource):
        def build_part(self, *given: object) -> Watched:
            part = super().build_part(*given)  # type: ignore[arg-type]
            part.__class__ = Watched
            assert isinstance(part, Watched)
            part.all, part.leads = parts, leads
            parts.append(part)
            return part

    ends.source.__class__ = Source
    run_main(flow(settings, ends))
    return alerts(out), leads


def test_a_backlog_is_read_abreast(tmp_path: Path) -> None:
    """Partitions of very different density: the sparse ones would be at their end before the dense ones have begun."""
    files = traffic.files(tmp_path, seconds=150, vehicles=27)
    unhurried, far = _run(tmp_path, files, lead=86_400_000)
    together, near = _run(tmp_path, files, lead=LEAD)
    assert together == unhurried != []
    assert max(far) > 60_000
    assert max(near) <= LEAD + Settings().window.pane
