"""One history: traffic is played into a broker while the worker suffers; what comes out must be what a replay of it gives."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from heapq import merge
from pathlib import Path

from confluent_kafka import Producer

from dataflows.kafka_admin import create_missing, output_names
from dataflows.settings import Inputs
from dataflows.settings_reader import load
from dataflows.tap import Reader, Received
from tests import traffic, worker_settings
from tests.forked import Forked
from tests.living import PATIENCE, LivingCluster, LivingWorker, wait_for
from tests.worker_settings import TOPICS

NEVER_IDLE = 1e6  # s: what the clock decides has no place in a comparison with a replay
AT_ONCE = 0.3  # s: for the last worker, which starts when everything has been played
CHAPTER = 120  # s of traffic, with ten crashes
VEHICLES = 90  # at 1 Hz
SIP = 500  # messages a poll: so that even on a busy machine a short life gets as far as a snapshot
SIPPING = f"connect_timeout = 10.0\npoll_messages = {SIP}"
SLOWEST = 1000.0  # messages a second that a worker reads at least; on two idle cores it is 9000
STEP = 0.02  # s between two portions of the traffic


@dataclass(frozen=True)
class Outcome:
    """What the output topics held in the end, beside the replay."""

    alerts: int  # different ones
    duplicates: int  # alerts that came again, with the same bytes


class History:
    """Topics, settings and traffic of one history, all from its seed; the broker is the caller's."""

    def __init__(self, folder: Path, broker: str, seed: int, chapters: int = 1) -> None:
        self.folder, self.broker, self.seed = folder, broker, seed
        self.log = folder / "log"
        self.recorded = traffic.partitions(CHAPTER, seed, VEHICLES, chapters)
        self.played = 0  # messages
        self.settings = load(self.config(NEVER_IDLE))

    def config(self, idle_after: float = NEVER_IDLE, broker: str = "") -> Path:
        """`broker`: another way to the same one."""
        path = self.folder / f"idle-after-{idle_after}.toml"
        return worker_settings.write(path, broker or self.broker, idle_after, SIPPING)

    def partitions(self) -> dict[str, int]:
        """How many of each input topic."""
        return dict(Counter(TOPICS[name[0]] for name in self.recorded))

    def make_topics(self) -> None:
        for topic in self.settings.inputs.topics:
            alone = self.settings.model_copy(update={"inputs": Inputs(topics=(topic,))})
            create_missing(alone, self.partitions()[topic.topic], 1)

    def worker(self) -> LivingWorker:
        return LivingWorker(self.config(), self.log)

    def cluster(self, processes: int) -> LivingCluster:
        return LivingCluster(self.config(), self.log, processes)

    @contextmanager
    def playing(self, pace: float) -> Iterator[None]:
        """Play `pace` seconds of traffic a second while the block lasts, and the rest of it at once when it ends."""
        hurry = threading.Event()
        thread = threading.Thread(target=self._play, args=(self._in_order(), pace, hurry), name="traffic", daemon=True)
        thread.start()
        try:
            yield
        finally:
            hurry.set()
            thread.join(PATIENCE)
        assert not thread.is_alive(), "the broker does not take the traffic"
        assert self.played == sum(map(len, self.recorded.values())), "the broker did not take all of the traffic"

    def play_part(self, first: float, last: float, names: Collection[str] = ()) -> None:
        """Play from this share of the traffic to that, at once; of these partitions, or of all."""
        whole, hurry = [each for each in self._in_order() if not names or each[1] in names], threading.Event()
        hurry.set()
        self._play(iter(whole[round(first * len(whole)) : round(last * len(whole))]), 0.0, hurry)

    def _play(self, messages: Iterator[tuple[int, str, bytes]], pace: float, hurry: threading.Event) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.broker,
                "enable.idempotence": True,  # for the order, when a broker that fails makes it send again
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )

        def count(error: object, _: object) -> None:
            self.played += error is None

        until = traffic.T0
        for arrival, name, message in messages:
            while arrival > until and not hurry.is_set():
                hurry.wait(STEP)
                producer.poll(0)
                until += round(pace * STEP * 1000)
            producer.produce(TOPICS[name[0]], message, None, int(name[1:]), timestamp=arrival, on_delivery=count)
            if hurry.is_set():
                producer.poll(0)
        producer.flush(PATIENCE)

    def _in_order(self) -> Iterator[tuple[int, str, bytes]]:
        def of(name: str) -> Iterator[tuple[int, str, bytes]]:
            return ((arrival, name, message) for arrival, message in self.recorded[name])

        return merge(*map(of, self.recorded))

    def end(self) -> Outcome:
        """A last worker reads what is left; then the outputs are compared. Raises AssertionError."""
        with LivingWorker(self.config(AT_ONCE), self.log) as worker:
            count = len(self.recorded)
            patience = PATIENCE + self.played / SLOWEST
            worker.page(lambda page: page.values("partition_idle") == [1.0] * count, "everything is read", patience)
            assert worker.stop() == 0
        return self.judge()

    def judge(self) -> Outcome:
        replayed, dead = self._replay()
        with Reader(self.settings, *output_names(self.settings)) as reader:
            received = _all(reader, {*replayed, *dead})
        alerts = [each for each in received if each.topic == self.settings.outputs.alerts]
        values = [each.value or b"" for each in alerts]
        again = f"again with seed {self.seed}"
        missing, invented = set(replayed) - set(values), set(values) - set(replayed)
        assert not missing, (
            f"{len(missing)} of {len(replayed)} alerts are missing, {len(invented)} are others, {again}: {sorted(missing)[:2]}"
        )
        assert not invented, f"{len(invented)} alerts that the replay does not have, {again}: {sorted(invented)[:2]}"
        ids = {each.headers["ce_id"] for each in alerts}
        assert len(ids) == len(replayed), f"one id, two alerts, {again}"
        self._check_order(alerts)
        self._check_dead_letters(received, dead)
        return Outcome(len(replayed), len(values) - len(replayed))

    def _replay(self) -> tuple[list[bytes], list[bytes]]:
        """Its alerts and its dead letters."""
        folder = self.folder / "replay"
        folder.mkdir(exist_ok=True)
        files = [f"{path}={form}" for path, form in traffic.write(folder, self.recorded)]
        out, dead = folder / "alerts.jsonl", folder / "dead"
        command = ("replay", *files, "--config", str(self.config()), "--out", str(out), "--dead-letters", str(dead))
        ended = Forked("dataflows.cli", *command)
        said = ended.communicate()[1]
        assert ended.returncode == 0, said
        replayed = out.read_bytes().splitlines()
        assert replayed, f"the traffic of seed {self.seed} gives no alert"
        return replayed, dead.read_bytes().splitlines()

    def _check_order(self, alerts: list[Received]) -> None:
        """Each incident's alerts lie in the order of their sequence; what came again may lie behind."""
        last: dict[str, int] = {}
        for each in sorted(alerts, key=lambda each: each.offset):
            alert = json.loads(each.value or b"")
            expected = last.get(alert["incident_id"], -1) + 1
            assert alert["sequence"] <= expected, f"out of order: {alert['alert_id']}, again with seed {self.seed}"
            last[alert["incident_id"]] = max(alert["sequence"], expected - 1)

    def _check_dead_letters(self, received: list[Received], dead: list[bytes]) -> None:
        letters = [each.value or b"" for each in received if each.topic == self.settings.outputs.dead_letters]
        assert set(letters) == set(dead), f"dead letters differ, again with seed {self.seed}"

    def troubles(self, *levels: str) -> list[str]:
        """What the workers' log says at these levels."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [str(line["message"]) for line in found if line["level"] in levels]


def _all(reader: Reader, expected: set[bytes]) -> list[Received]:
    """Everything in the topics; a worker that has ended has delivered it all, so silence is the end."""
    received: list[Received] = []

    def look() -> bool:
        got = reader.read(1.0)
        received.extend(got)
        return not got and expected <= {each.value for each in received}

    with suppress(AssertionError):  # the comparison says better what is missing
        wait_for(look, "everything is there", PATIENCE)
    return received
