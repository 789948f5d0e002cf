"""Rows of the made-up road as the messages that their vehicles send, and what befalls these on the way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dataflows.formats import FORMATS
from dataflows.formats.observation_plain import SIGN_OF
from detectors.model import Rows
from tests.simulation import SETTINGS, Input

LATENESS = SETTINGS.window.lateness
DELAY = 300.0  # ms on the way, in the mean


class Sent(NamedTuple):
    arrival: int  # ms
    time: int  # ms: what the sender's clock said
    who: int
    message: bytes


def sent(rows: Rows, dice: random.Random, skew: int = 0, prefix: str = "") -> list[Sent]:
    """Each row as a message that arrives some 100 ms later; the clocks of all run `skew` ms ahead."""
    out = []
    for row in rows:
        time, who = int(row["time"]), int(row["reporter"])
        fields: dict[str, object] = {"id": f"{prefix}{who:08x}", "ts": time + skew}
        arrival = time + 30 + min(LATENESS - 100, int(dice.expovariate(1 / DELAY)))
        fields |= {"rx": arrival, "lat": round(float(row["lat"]), 7), "lon": round(float(row["lon"]), 7)}
        fields |= {"v": round(float(row["speed"]), 2), "hdg": round(float(row["heading"]), 1)}
        fields |= {"ax": round(float(row["accel"]), 2)}
        fields |= {name: 1 for name, sign in SIGN_OF.items() if int(row["signs"]) & sign}
        out.append(Sent(arrival, time + skew, who, json.dumps(fields).encode()))
    return out


def inputs(messages: Iterable[Sent], partitions: int = 3) -> list[Input]:
    """In the order of their arrival; a vehicle always sends to the same partition."""
    apart: list[list[bytes]] = [[] for _ in range(partitions)]
    for each in sorted(messages):
        apart[each.who % partitions].append(each.message)
    return [Input(f"v{n}", FORMATS["observation"], found) for n, found in enumerate(apart)]


def shuffled(messages: Sequence[Sent], lateness: int, twice: float, dice: random.Random) -> list[Sent]:
    """As far out of order as a lateness (ms) allows, and a share of them twice: as `arrival`, the place in the order."""
    some = [*messages, *dice.sample(messages, int(twice * len(messages)))]
    return [each._replace(arrival=each.time + dice.randint(0, lateness)) for each in some]
