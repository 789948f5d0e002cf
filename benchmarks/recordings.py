"""Labelled recordings: the open sets beside the repository and others of their form, with labels, samples and loops."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import zstandard

from benchmarks.judge import Label, read_labels

ROOT = Path(__file__).parents[1]
OPEN = ROOT.parent / "shared" / "scenarios" / "open"
OPEN_DAYS = {("motorway", 1), ("motorwayB", 2), ("urban", 3)}  # scenario and seed
ABSENT = (
    "The labelled recordings are not here: ../shared/scenarios/open beside the repository holds them, "
    "and without them there is nothing to score."
)

Day = Literal["incident", "normal"]
DAYS: tuple[Day, ...] = ("incident", "normal")
PREFIX = {"incident": "", "normal": "normal_"}  # of a day's files
EXPORTED = "events_p100.jsonl.zst"
Penetration = Literal["100 %", "20 %", "5 %"]
PENETRATIONS: tuple[Penetration, ...] = ("100 %", "20 %", "5 %")
SHARE = {"100 %": 1.0, "20 %": 0.20, "5 %": 0.05}


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

    @property
    def tuned_on(self) -> bool:
        """The open days, of however many vehicles, are what detectors are tuned on; others were not seen before."""
        return (self.meta.get("scenario"), self.meta.get("seed")) in OPEN_DAYS

    @property
    def penetrations(self) -> tuple[Penetration, ...]:
        """All vehicles report where the set was made so (then they are all it is for), or both days were exported so."""
        if self.meta.get("penetration") == SHARE["100 %"]:
            return ("100 %",)
        return tuple(p for p in PENETRATIONS if self.exported or p != "100 %")

    @property
    def exported(self) -> bool:
        """Whether both days of all vehicles lie beside those of 20 %, which 5 % is cut out of."""
        return all((self.path / f"{PREFIX[day]}{EXPORTED}").exists() for day in DAYS)

    def recording(self, day: Day, penetration: Penetration) -> Path:
        return self.path / (PREFIX[day] + (EXPORTED if penetration == "100 %" and self.exported else "events.jsonl.zst"))

    def loops(self, day: Day) -> Path:
        return self.path / ("loops.csv" if day == "incident" else "normal_loops.csv.gz")

    def labels(self, day: Day) -> list[Label]:
        """On a normal day there is no incident, only senders with a fault."""
        if day == "incident":
            return read_labels(self.path / "truth.jsonl")
        return [Label.parse(fault) for fault in self.meta["normal_day"]["sender_faults"]]

    def lines(self, day: Day, penetration: Penetration) -> Iterator[bytes]:
        """The messages in order of arrival."""
        names: frozenset[bytes] | None = None
        if penetration == "5 %":
            names = frozenset((self.path / f"{PREFIX[day]}p05_ids.txt").read_bytes().split())
        with self.recording(day, penetration).open("rb") as file:
            for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
                if names is None or line.split(b'"', 4)[3] in names:  # the id comes first
                    yield line


def places(folders: Sequence[Path] = ()) -> list[Place]:
    """All places in these folders, by name; each may be a set or hold sets. Of none, the open ones; empty where absent.

    A set that is not complete, because it is still being made or was made without a normal day, is left out.
    """
    found = sorted(
        {meta for folder in folders or (OPEN,) for form in ("meta.json", "*/meta.json") for meta in folder.glob(form)}
    )
    sets = [Place(meta.parent.resolve(), json.loads(meta.read_text("utf-8"))) for meta in found]
    return sorted((place for place in sets if "normal_day" in place.meta), key=lambda place: place.name)
