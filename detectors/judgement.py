"""How grave, how sure and how urgent a kind of incident is, in the terms of CAP 1.2, and which kinds are one story."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SURE = 4.0  # score: one chance in 10,000 that it is nothing
WEATHER = 10_000.0  # m: a front with a station every kilometre would be one circle of a hundred, with everybody in it


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds that tell one story at one place, and how long and how far that story holds together."""

    kinds: frozenset[str]
    reach: float  # m between the edges of two findings that still touch
    lasts: int  # ms without a finding after which the incident is over; an accident's: see below
    valid: int  # ms that an alert may be acted upon without hearing more
    steady: int  # ms between updates that say only where and how large; what is worse is said at once
    widest: float = math.inf  # m from where it began: what touches farther off is another one
    follows: bool = False  # the place is that of the newest finding: the thing itself moves
    personal: bool = False  # one incident per vehicle, wherever it is


# The gravest last. When kinds of one family meet in one incident, the gravest names it.
_ROAD = (
    "slow_vehicle",
    "traffic_condition",
    "dangerous_end_of_queue",
    "dangerous_situation",
    "obstacle",
    "stationary_vehicle",
    "breakdown",
    "accident",
)

_FAMILIES = (
    # A queue's tail moves upstream at about 15 km/h, 4 m/s: in two minutes some 500 m, seen every few seconds.
    # Two minutes are also what a hard-braking cluster needs to become a standing queue, at most lights one cycle.
    # With the radii of both, what lies 400 m apart is one, less than those 500 m; with 250 m twice as many were opened twice.
    Family(frozenset(_ROAD), reach=300.0, lasts=120_000, valid=600_000, steady=30_000),
    Family(frozenset({"adhesion"}), reach=300.0, lasts=300_000, valid=1_800_000, steady=60_000, widest=WEATHER),
    # 40 m/s towards each other: between two sightings some seconds apart a wrong-way vehicle makes 200 m and more.
    # Of some senders only one row a minute is not too late, and WrongWay looks at rows every few seconds.
    Family(frozenset({"wrong_way"}), reach=400.0, lasts=90_000, valid=300_000, steady=5_000, follows=True),
    Family(frozenset({"visibility"}), reach=1000.0, lasts=600_000, valid=1_800_000, steady=60_000, widest=WEATHER),
    Family(frozenset({"extreme_weather"}), reach=2000.0, lasts=600_000, valid=1_800_000, steady=60_000, widest=WEATHER),
    Family(
        frozenset({"battery_anomaly"}), reach=0.0, lasts=600_000, valid=1_800_000, steady=60_000, follows=True, personal=True
    ),
)

FAMILIES = {kind: family for family in _FAMILIES for kind in family.kinds}
RANK = {kind: _ROAD.index(kind) if kind in _ROAD else 0 for kind in FAMILIES}

_SEVERITY = {
    "traffic_condition": "Minor",
    "slow_vehicle": "Minor",
    "dangerous_end_of_queue": "Moderate",
    "dangerous_situation": "Moderate",
    "obstacle": "Moderate",
    "stationary_vehicle": "Moderate",
    "breakdown": "Moderate",
    "adhesion": "Moderate",
    "visibility": "Moderate",
    "extreme_weather": "Moderate",
    "battery_anomaly": "Moderate",
    "accident": "Severe",
    "wrong_way": "Extreme",
}

_NOT_AT_ONCE = frozenset({"traffic_condition", "slow_vehicle", "adhesion", "visibility", "extreme_weather"})


def lasts(kind: str) -> int:
    """ms without a finding after which an incident that this kind leads is over.

    A unit that dies in the crash says no more, and that is no reason to call it over while it was said to be valid.
    """
    family = FAMILIES[kind]
    return family.valid if kind == "accident" else family.lasts


def severity(kind: str, evidence: Mapping[str, float]) -> str:
    """CAP severity: Minor, Moderate, Severe or Extreme.

    >>> severity("battery_anomaly", {"thermal": 1.0})
    'Extreme'
    """
    if kind == "battery_anomaly":
        if evidence.get("thermal"):
            return "Extreme"  # five minutes from alarm to danger in the cabin: GB 38031-2020, 5.2.7
        if evidence.get("hard_limit") or "temperature_rise" in evidence:  # heat that is suspected, hours or minutes ahead
            return "Severe"
    return _SEVERITY[kind]


def certainty(reporters: int, score: float) -> str:
    """CAP certainty. A machine alone never says Observed, and one reporter never makes more than Possible.

    >>> certainty(1, 99.0), certainty(2, 5.0), certainty(2, 1.0)
    ('Possible', 'Likely', 'Possible')
    """
    return "Likely" if reporters >= 2 and score >= SURE else "Possible"


def urgency(kind: str) -> str:
    """CAP urgency of an open incident: Immediate where somebody may be hurt in the next minutes, else Expected."""
    return "Expected" if kind in _NOT_AT_ONCE else "Immediate"
