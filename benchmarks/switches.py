"""What can be switched off: each detector of the catalogue, and the models in them that have one place to be silenced.

A switch names a function or method by its path and puts something that knows nothing in its place for a while. Nothing in
`detectors` knows of it; a path that is no longer there is reported as gone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Switch:
    """One model: in which detectors it works, where it is reached, and what stands in for it."""

    name: str
    detectors: tuple[str, ...]
    module: str
    path: str  # name in the module, or Class.name
    instead: Callable[[Any], Any]  # what was there -> what is there for now

    def off(self) -> AbstractContextManager[object]:
        """Silences the model inside a with-block. AttributeError where it is gone."""
        owner, name = self._place()
        return patch.object(owner, name, self.instead(getattr(owner, name)))

    @property
    def gone(self) -> bool:
        try:
            owner, name = self._place()
        except (AttributeError, ModuleNotFoundError):
            return True
        return not hasattr(owner, name)

    def _place(self) -> tuple[Any, str]:
        *classes, name = self.path.split(".")
        owner: Any = importlib.import_module(self.module)
        for each in classes:
            owner = getattr(owner, each)
        return owner, name


def _fleet_only(known: Callable[..., float]) -> Callable[..., float]:
    """Every place is as the whole fleet's: what occurred and was driven there is not told."""

    def surprise(count: float, exposure: float, _known: float, _driven: float, *rest: float) -> float:
        return known(count, exposure, 0.0, 0.0, *rest)

    return surprise


def _in_the_middle(_across: object, lat: NDArray[np.float64], *_: object) -> NDArray[np.float64]:
    return np.zeros(len(lat))


def _nothing(_: object) -> Callable[..., list[object]]:
    return lambda *_: []


def _no_doubt(_: object) -> Callable[..., float]:
    return lambda *_: 0.0


MODELS = (
    Switch(
        "a place's own rate of rare occurrences (Gamma-Poisson)",
        ("HardBraking", "StationaryTraffic"),
        "detectors.place_rates",
        "surprise",
        _fleet_only,
    ),
    Switch(
        "how nervous a place is (gentle braking)",
        ("HardBraking", "StationaryTraffic"),
        "detectors.place_rates",
        "PlaceRates.nervous",
        lambda _: lambda *_: 1.0,
    ),
    Switch(
        "ramps, by the ways of those who pass",
        ("StationaryTraffic",),
        "detectors.forks",
        "Forks.spread",
        _no_doubt,
    ),
    Switch(
        "who brakes for one who brakes is no witness",
        ("HardBraking", "StationaryTraffic"),
        "detectors.answers",
        "ANSWERED",
        lambda _: -math.inf,
    ),
    Switch(
        "the side of the road",
        ("HardBraking", "StationaryTraffic"),
        "detectors.across",
        "Across.aside",
        lambda _: _in_the_middle,
    ),
    Switch(
        "one vehicle that does not get on",
        ("StationaryTraffic",),
        "detectors.stationary_traffic",
        "StationaryTraffic._linger",
        lambda _: lambda *_: None,
    ),
    Switch(
        "jams that grew are known (slower for minutes)", ("StationaryTraffic",), "detectors.slowing", "Slowing.doubt", _no_doubt
    ),
    Switch(
        "who brakes hard for a jam that stands ahead is known",
        ("HardBraking",),
        "detectors.hard_braking",
        "FLOWED",
        lambda _: 0.0,
    ),
    Switch(
        "who does not get on among several that fell is not alone",
        ("StationaryTraffic",),
        "detectors.stationary_traffic",
        "ALONE",
        lambda _: math.inf,
    ),
    Switch(
        "jams that come from ahead are known",
        ("StationaryTraffic",),
        "detectors.occurrences",
        "Occurrences.jam_ahead",
        _no_doubt,
    ),
    Switch("queues followed by their two ends", ("StationaryTraffic",), "detectors.queues", "Queues.ends", _nothing),
    Switch(
        "falls too many for a jam that is known",
        ("StationaryTraffic",),
        "detectors.stationary_traffic",
        "MORE",
        lambda _: math.inf,
    ),
    Switch("heads of queues that stay where they are", ("StationaryTraffic",), "detectors.heads", "Heads.update", _nothing),
    Switch("single vehicles that stand in a lane", ("StationaryTraffic",), "detectors.standing", "Standing.update", _nothing),
    Switch(
        "the fleet's own threshold of long stops (quantile)",
        ("LongStand",),
        "detectors.long_stand",
        "LongStand.threshold",
        lambda _: property(lambda _: importlib.import_module("detectors.long_stand").FIRST_THRESHOLD),
    ),
    Switch(
        "a place's own share of slipping vehicles (Beta)",
        ("SlipperyRoad", "Weather"),
        "detectors.surprise",
        "ReporterShare.learn_one",
        lambda _: lambda *_: None,
    ),
)
