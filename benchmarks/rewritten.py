"""The city's vehicles in other wire formats, as ODE JSON and as BSMs in unaligned PER, and electric cars in GB/T 32960."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import Form
from benchmarks.synthetic import Cars
from dataflows.formats import encode
from detectors.model import Sign
from tests.wire import bsm, frame, safety

EVERY = 10  # s between an electric car's reports
ROUNDS = 6  # that each reports at the least: of the first, a car's name is hashed and nothing is known of its battery

SIGNS = {
    "brk": Sign.BRAKE, "ev": Sign.HARD_BRAKE, "abs": Sign.ABS, "tcs": Sign.TRACTION, "scs": Sign.STABILITY,
    "hz": Sign.HAZARD_LIGHTS, "ab": Sign.AIRBAG, "dis": Sign.DISABLED,
}  # fmt: skip
HARD = "0000000100000"  # of the event flags


def ode_json(messages: list[bytes]) -> tuple[list[bytes], Form]:
    made = []
    for row in map(json.loads, messages):
        signs = sum(sign for name, sign in SIGNS.items() if row.get(name))
        said = {"speed": row["v"], "heading": row["hdg"], "accel": row["ax"]}
        made.append(encode.ode_json(time=row["ts"], id=row["id"], lat=row["lat"], lon=row["lon"], signs=signs, **said))
    return made, Form("ode-json", _arrivals(messages))


def uper(messages: list[bytes]) -> tuple[list[bytes], Form]:
    """In a MessageFrame; one with event flags where somebody brakes hard."""
    made = []
    for row in map(json.loads, messages):
        core = {"id": int(row["id"], 16), "secMark": row["ts"] % 60_000, "lat": round(row["lat"] * 1e7)}
        core |= {"long": round(row["lon"] * 1e7), "speed": round(row["v"] * 50), "heading": round(row["hdg"] * 80) % 28800}
        core |= {"accelLong": max(-2000, min(2000, round(row["ax"] * 100)))}
        made.append(frame(bsm((safety(HARD),) if row.get("ev") else (), **core)))
    return made, Form("j2735", _arrivals(messages))


def fleet(cars: int, messages: list[bytes]) -> tuple[list[bytes], Form]:
    """As many GB/T 32960 frames as there are messages, and more where the cars are too many for ROUNDS of them."""
    count = max(len(messages), ROUNDS * cars)
    seconds = Cars(cars // EVERY, cars).seconds(-(-count // (cars // EVERY)))
    return list(chain.from_iterable(seconds))[:count], Form("gbt32960")


def _arrivals(messages: list[bytes]) -> NDArray[np.int64]:
    return np.array([json.loads(message)["rx"] for message in messages])


REWRITTEN: dict[str, Callable[[list[bytes]], tuple[list[bytes], Form]]] = {
    "The city as ODE JSON of schema version 9": ode_json,
    "The city as J2735 BSMs in unaligned PER": uper,
    "20,000 electric cars in GB/T 32960, each every 10 s": partial(fleet, 20_000),
    "200,000 electric cars in GB/T 32960, each every 10 s": partial(fleet, 200_000),
}
