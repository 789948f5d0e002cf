"""The labelled recordings beside the repository: where they lie, their labels, and their 5 % sub-samples."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import zstandard

from benchmarks.judge import Label, read_labels

ROOT = Path(__file__).parents[1]
OPEN = ROOT.parent / "shared" / "scenarios" / "open"
ABSENT = (
    "The labelled recordings are not here: ../shared/scenarios/open beside the repository holds them, "
    "and without them there is nothing to score."
)

Day = Literal["incident", "normal"]
Penetration = Literal["20 %", "5 %"]
PENETRATIONS: tuple[Penetration, ...] = ("20 %", "5 %")
SHARE = {"20 %": 0.20, "5 %": 0.05}


@dataclass(frozen=True, slots=True)
class Place:
    """One simulated place: a directory of recordings, and what its meta.json says."""

    path: Path
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def motorway(self) -> bool:
        return bool(self.meta["config"]["kind"] == "motorway")

    @property
    def start(self) -> int:
        return int(self.meta["start_ms"])

    @property
    def length(self) -> int:
        return int(self.meta["dur_s"] * 1000)

    @property
    def km_hours(self) -> float:
        """Carriageway-km times hours that were watched."""
        return float(self.meta["monitored_carriageway_km"] * self.meta["dur_s"] / 3600)

    def recording(self, day: Day) -> Path:
        return self.path / ("events.jsonl.zst" if day == "incident" else "normal_events.jsonl.zst")

    def labels(self, day: Day) -> list[Label]:
        """On a normal day there is no incident, only senders with a fault."""
        if day == "incident":
            return read_labels(self.path / "truth.jsonl")
        return [Label.parse(fault) for fault in self.meta["normal_day"]["sender_faults"]]

    def lines(self, day: Day, penetration: Penetration) -> Iterator[bytes]:
        """The messages in order of arrival."""
        names: frozenset[bytes] | None = None
        if penetration == "5 %":
            ids = self.path / ("p05_ids.txt" if day == "incident" else "normal_p05_ids.txt")
            names = frozenset(ids.read_bytes().split())
        with self.recording(day).open("rb") as file:
            for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
                if names is None or line.split(b'"', 4)[3] in names:  # the id comes first
                    yield line


def places() -> list[Place]:
    """All places, by name; empty where the recordings are absent."""
    if not OPEN.is_dir():
        return []
    found = sorted(path.parent for path in OPEN.glob("*/meta.json"))
    return [Place(path, json.loads((path / "meta.json").read_text("utf-8"))) for path in found]
