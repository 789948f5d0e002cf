"""Six hours of traffic at full speed against the real worker: nothing may grow, and who is silent must be forgotten.

Three towns live at any time, each for an hour, in six places by turns; a place that comes to life again has vehicles that were
never seen. After the six hours one town alone goes on for two more, and the worker is asked to end; then its recovery store is
searched for the names of the silent, whatever holds them (`remembered`). How long a detector may know one:

- tracks of vehicles 90 s and a sweep each 30 s, what was rare 10 minutes (`Occurrences`), all else that names a vehicle less;
- roadside stations an hour and a sweep each ten minutes (`BlockedRoad`, `ShunnedLane`);
- who slipped or had its lamps on three days, a thousand of a shard at most (`Surprise`): it says what is usual there;
- EVs a week (`BatteryHealth`).

Places are no names and fade by design: Passers and LongStand with a day, Directions with a fortnight, Across and Ground with
four hours, PlaceRates with 45 minutes. So their state follows the roads in use, which are all known after two hours here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from confluent_kafka import Producer

from dataflows.demo.page import Page, scrape
from dataflows.formats.base import Pseudonym
from dataflows.kafka_admin import create_missing
from dataflows.secret_files import pseudonym_key
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests import remembered, soak_traffic, worker_settings
from tests.history import NEVER_IDLE, Outcome
from tests.living import PATIENCE, LivingWorker, wait_for

HOUR = 3600  # s
HOURS, AFTER = 6, 2
PLACES, ALIVE = 6, 3
AHEAD = 30_000  # messages that wait in the broker: three and a half minutes of traffic
EVERY = 600  # s of traffic between two looks
LOOKS = 5  # at what Linux says: what is there for a moment only is not kept, as a connection and a thread for our own look
APART = 0.02  # s
INTERVAL = 2.0  # s between snapshots: some minutes of traffic
MIB = 1 << 20

RSS_SHARE, RSS_MORE = 1.10, 16.0  # MiB: how far the last two hours' maximum may be over the second hour's
SHARE = 1.25  # the same for the state of all detectors but the batteries', the store on disk, and the open incidents
A_CAR = 600  # bytes of the batteries' state for each EV: its row of 286, its place in the index, a part of its fleet's 8 KiB
LONGEST = {
    "BatteryHealth": 7 * 86400.0,
    "usual": 3 * 86400.0,
    "BlockedRoad": 4260.0,
    "ShunnedLane": 4260.0,
    "Weather": 1860.0,
}  # s, by part of where
OTHERS = 600.0 + 60.0  # s
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """The worker after so much traffic."""

    at: int  # s
    rss: float  # MiB
    threads: int
    files: int
    state: dict[str, float]  # bytes in the last snapshots, by detector
    snapshots: tuple[float, float]  # how many of a shard were taken so far, and their bytes
    store: float  # MiB on disk
    journals: float  # MiB of them, which SQLite keeps at their largest size while it runs
    incidents: float  # open now
    cars: int  # EVs heard so far

    @property
    def places(self) -> float:
        """KiB of state, without the batteries'."""
        return sum(size for name, size in self.state.items() if name != "BatteryHealth") / 1024

    @property
    def batteries(self) -> float:
        return self.state.get("BatteryHealth", 0.0) / 1024


@dataclass(frozen=True)
class Soaked:
    samples: list[Sample]
    messages: int
    outcome: Outcome
    counted: int  # alerts by the worker's own count, before it was asked to end
    known: dict[str, tuple[int, float]]  # where reporters are remembered -> how many, and s since the longest silent one spoke


class Soak:
    def __init__(self, folder: Path, broker: str, seed: int, say: Say) -> None:
        self.folder, self.say, self.log = folder, say, folder / "log"
        self.config = worker_settings.write(folder / "settings.toml", broker, NEVER_IDLE, "connect_timeout = 10.0")
        self.settings = load(self.config)
        self.producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True, "linger.ms": 20, "log_level": 0})
        self.heard: dict[str, int] = {}
        self.played = 0
        self.samples: list[Sample] = []
        self.towns = soak_traffic.towns(PLACES, HOUR, ALIVE, HOURS * HOUR, seed)
        self.towns.append(soak_traffic.Town(len(self.towns), 0, HOURS * HOUR, (HOURS + AFTER) * HOUR, seed))

    def run(self) -> Soaked:
        create_missing(self.settings, 1, 1)
        with LivingWorker(self.config, self.log, f"--set=recovery.interval={INTERVAL}") as worker:
            seconds = range((HOURS + AFTER) * HOUR)
            for at, said in enumerate(soak_traffic.play(self.towns, seconds, self.heard)):
                if at % 60 == 0 and at:
                    self._wait(worker)
                if at % EVERY == 0 and at:
                    self.samples.append(self._look(worker, at))
                for topic, arrival, value in said:
                    self.producer.produce(topic, value, partition=0, timestamp=arrival)
                self.played += len(said)
                self.producer.poll(0)
            self.producer.flush(PATIENCE)
            page = worker.page(lambda page: _received(page) == self.played, "everything is read", PATIENCE + AHEAD / 500)
            self.samples.append(self._look(worker, len(seconds)))
            assert worker.stop() == 0
        alerts = self._alerts()
        pseudonym = Pseudonym(pseudonym_key(self.settings))
        reporters = {pseudonym(name): last for name, last in self.heard.items()}
        assert len(reporters) == len(self.heard)
        known = remembered.remembered(remembered.in_store(self.settings), reporters, max(self.heard.values()))
        outcome = Outcome(len(set(alerts)), len(alerts) - len(set(alerts)))
        return Soaked(self.samples, self.played, outcome, int(page.total("alerts_total")), known)

    def _alerts(self) -> list[bytes]:
        with Reader(self.settings, self.settings.outputs.alerts) as reader:
            read = iter(lambda: reader.read(2.0), [])  # a worker that has ended has delivered all, so silence is the end
            return [each.value or b"" for some in read for each in some]

    def _wait(self, worker: LivingWorker) -> None:
        """Until the worker is near enough."""

        def near() -> bool:
            self.producer.poll(0)
            worker.check()
            page = scrape(worker.url)
            return page is not None and self.played - _received(page) <= AHEAD

        wait_for(near, "the worker keeps up")

    def _look(self, worker: LivingWorker, at: int) -> Sample:
        page = scrape(worker.url)
        assert page is not None
        folder = Path(f"/proc/{worker.child.pid}")
        files, threads = (min(_counts(folder / name)) for name in ("fd", "task"))
        rss = int((folder / "status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
        sizes_on_disk = {path.name: path.stat().st_size / MIB for path in self.settings.recovery.directory.iterdir()}
        journals = sum(size for name, size in sizes_on_disk.items() if name.endswith("-wal"))
        taken = page.total("snapshots_total", step="windows"), page.total("snapshot_bytes_total", step="windows")
        sizes = page.by("detector_state_bytes", "detector")
        cars = sum(name.startswith("LSOAK") for name in self.heard)
        self.say(f"{at // 60} of {(HOURS + AFTER) * 60} minutes, {rss:.0f} MiB")
        store, incidents = sum(sizes_on_disk.values()), page.total("incidents_open")
        return Sample(at, rss, threads, files, sizes, taken, store, journals, incidents, cars)


def _counts(folder: Path) -> Iterator[int]:
    """What a folder holds, at several moments."""
    for _ in range(LOOKS):
        yield len(list(folder.iterdir()))
        time.sleep(APART)


def _received(page: Page) -> float:
    return page.total("received_messages_total")


def judge(soaked: Soaked) -> str:
    """The figures in a line. Raises AssertionError where something grew, or somebody is known for too long."""
    second = [s for s in soaked.samples if HOUR < s.at <= 2 * HOUR]
    last = [s for s in soaked.samples if (HOURS - 2) * HOUR < s.at <= HOURS * HOUR]
    before, after = max(s.rss for s in second), max(s.rss for s in last)
    assert after <= before * RSS_SHARE + RSS_MORE, f"memory went from {before:.0f} to {after:.0f} MiB"
    flat: list[str] = []
    for name in ("threads", "files"):  # the least of each: one more of both comes and goes, what leaks does not go
        then, now = (min(getattr(s, name) for s in some) for some in (second, last))
        assert now <= then, f"{name} went from {then} to {now}"
        flat.append(f"{then} -> {now} {name}")
    for name, what in (("places", "KiB of state"), ("store", "MiB of store"), ("incidents", "open incidents")):
        then, now = (max(getattr(s, name) for s in some) for some in (second, last))
        assert now <= SHARE * then, f"{what} went from {then:.0f} to {now:.0f}"
        flat.append(f"{then:.0f} -> {now:.0f} {what}")
    for s in last:
        assert s.batteries * 1024 <= A_CAR * s.cars, f"the batteries' state is {s.batteries:.0f} KiB for {s.cars} EVs"
    check_forgotten(soaked.known)
    said = soaked.outcome.alerts + soaked.outcome.duplicates
    assert said >= soaked.counted > 0, f"{said} alerts came of {soaked.counted}"
    alone = median(s.places for s in soaked.samples[-3:])
    return (
        f"{soaked.messages} messages; second hour -> last two hours at most: {before:.0f} -> {after:.0f} MiB, "
        f"{', '.join(flat)}; with one town for {AFTER} h {alone:.0f} KiB of state; "
        f"{last[-1].batteries:.0f} KiB of {last[-1].cars} EVs"
    )


def check_forgotten(known: Mapping[str, tuple[int, float]]) -> None:
    """Nobody is remembered for longer than the detectors say; whoever speaks is, or we would have looked in vain."""
    for where, (count, silent) in known.items():
        most = next((limit for part, limit in LONGEST.items() if part in where), OTHERS)
        assert silent <= most, f"{where} remembers {count} reporters, one of them silent for {silent:.0f} s"
    watched = ("Plausibility.tracks", "StationaryTraffic.tracks.tracks", "BatteryHealth.vehicles.table")
    assert {f"{table}.memory.rows" for table in watched} <= known.keys()


def table(soaked: Soaked) -> list[str]:
    """A line for each look."""
    lines, before = (
        ["   min  MiB thr fds  state KiB  EV KiB  snapshot KiB  store MiB  of which journals  incidents"],
        (0.0, 0.0),
    )
    for s in soaked.samples:
        count, size = (now - then for now, then in zip(s.snapshots, before, strict=True))
        before = s.snapshots
        lines.append(
            f"{s.at // 60:6} {s.rss:4.0f} {s.threads:3} {s.files:3} {s.places:10.0f} {s.batteries:7.0f} "
            f"{size / max(count, 1.0) * 64 / 1024:13.0f} {s.store:10.1f} {s.journals:18.1f} {s.incidents:10.0f}"
        )
    known = soaked.known.items()
    return lines + [f"{where}: {count} reporters, silent for {silent:.0f} s at most" for where, (count, silent) in known]
