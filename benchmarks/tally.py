"""Runs and what they are worth together: one line of the scoreboard."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from benchmarks.judge import Alert, Verdict, by_luck, gates, judge, quantile
from benchmarks.recordings import PENETRATIONS, Day, Penetration, Place

SOON = 120.0  # s
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One recording: what the graph opened, and what the naive rules did."""

    place: Place
    day: Day
    penetration: Penetration
    alerts: list[Alert]
    naive: list[Alert]
    seconds: float
    loops: bool = False  # whether the loops were played beside the vehicles

    @property
    def feed(self) -> str:
        """What the graph was fed with."""
        return feed(self.penetration, self.loops)

    @property
    def name(self) -> str:
        return f"{self.place.name} {self.feed}"


def feed(penetration: Penetration, loops: bool) -> str:
    return f"{penetration}, with loops" if loops else penetration


FEEDS = tuple(feed(penetration, loops) for penetration in PENETRATIONS for loops in (False, True))


@dataclass(slots=True)
class Tally:
    """Several places' verdicts as one line."""

    verdicts: list[Verdict] = field(default_factory=list)
    luck: list[float] = field(default_factory=list)  # one per verdict
    false: int = 0  # on the normal day
    km_hours: float = 0.0
    broken: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        outcomes = [v.found.get(o.name, (math.inf,))[0] for v in self.verdicts for o in v.incidents]
        sizes = [len(v.incidents) for v in self.verdicts]
        luck = sum(rate * n for rate, n in zip(self.luck, sizes, strict=True)) / max(1, sum(sizes))
        found = sorted(s for s in outcomes if s < math.inf)
        extra, wrong = sum(len(v.extra) for v in self.verdicts), sum(len(v.false) for v in self.verdicts)
        return [
            f"{len(found)}/{len(outcomes)}",
            _interval(outcomes, lambda s: s < math.inf),
            f"{len(found) / len(outcomes) - luck:.2f}" if outcomes else "-",
            _interval(outcomes, lambda s: s <= SOON),
            f"{quantile(found, 0.5):.0f} / {quantile(found, 0.95):.0f}" if found else "-",
            f"{self.false / self.km_hours:.2f} ({self.false})" if self.km_hours else "-",
            f"{wrong} + {extra}",
            f"{len(self.broken)} broken" if self.broken else "kept",
        ]


HEAD = (
    "",
    "found",
    "DR",
    "DR - chance",
    "DR <= 120 s",
    "TTD median / p95 s",
    "FA per km h, normal day",
    "false + extra, incident day",
    "hard gates",
)


@lru_cache(maxsize=1000)
def judged(run: Run, by_rules: bool = False) -> tuple[Verdict, float]:
    """A run's verdict, and what luck would have found on its incident day."""
    labels, alerts = run.place.labels(run.day), run.naive if by_rules else run.alerts
    luck = by_luck(alerts, labels, run.place.start, run.place.length) if run.day == "incident" else math.nan
    return judge(alerts, labels), luck


def tally(runs: Iterable[Run], by_rules: bool = False) -> Tally:
    out = Tally()
    for run in runs:
        verdict, luck = judged(run, by_rules)
        if run.day == "incident":
            out.verdicts.append(verdict)
            out.luck.append(luck)
            out.broken += gates(verdict)
        else:
            out.false += len(verdict.false)
            out.km_hours += run.place.km_hours
            out.broken += [f"{words}, on the normal day" for words in gates(verdict)]
    return out


def _interval(outcomes: Sequence[float], good: Callable[[float], bool]) -> str:
    """Share of good outcomes, with the 95 % interval of resampling them."""
    if not outcomes:
        return "-"
    hits = [good(s) for s in outcomes]
    dice = random.Random(1)
    drawn = sorted(sum(dice.choices(hits, k=len(hits))) / len(hits) for _ in range(RESAMPLES))
    low, high = quantile(drawn, 0.025), quantile(drawn, 0.975)
    return f"{sum(hits) / len(hits):.2f} [{low:.2f}, {high:.2f}]"
