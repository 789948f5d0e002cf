"""Traffic for a worker, where each part of it is to go, and what must come of it: for tests with a broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataflows.demo.page import Page
from dataflows.kafka_admin import create_missing, output_names
from dataflows.settings import Inputs, Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests import traffic, worker_settings
from tests.faulty import Order, alerts, child
from tests.living import PATIENCE
from tests.test_broker_end_to_end import Sent, _messages, _partition, read_all


class History:
    """Traffic, where each part of it is to go, and a worker's settings for it."""

    def __init__(self, folder: Path, address: str, more: str = "", idle: float = 5.0, seconds: int = 420) -> None:
        """`more`: lines for the settings' section of Kafka; `idle` and `seconds` of traffic in s."""
        self.folder = folder
        self.files = traffic.files(folder, seconds)
        self.sent: Sent = {_partition(path): _messages(path, form) for path, form in self.files}
        self.config = worker_settings.write(folder / "roadwatch.toml", address, idle, f"connect_timeout = 2.0\n{more}")
        self.settings: Settings = load(self.config)
        self.log = folder / "log"

    def topics(self, without: int = 0) -> None:
        """Make them, with as many partitions as the traffic needs, or v2x `without` the last ones."""
        for topic in self.settings.inputs.topics:
            alone = self.settings.model_copy(update={"inputs": Inputs(topics=(topic,))})
            count = sum(name == topic.topic for name, _ in self.sent)
            create_missing(alone, count - without if topic.topic == "v2x" else count, 1)

    def part(self, start: float, end: float) -> Sent:
        """From one share of each partition's messages to another."""
        return {where: m[int(len(m) * start) : int(len(m) * end)] for where, m in self.sent.items()}

    def replayed(self) -> list[bytes]:
        """The alerts that the same messages give from files: the oracle."""
        replay = child(Order(self.files, str(self.folder / "alerts.jsonl")))
        assert replay.wait(PATIENCE) == 0
        return alerts(self.folder / "alerts.jsonl")

    def alerts(self, expected: int) -> list[bytes]:
        with Reader(self.settings, *output_names(self.settings)) as reader:
            return sorted(m.value or b"" for m in read_all(reader, self.settings, expected)["road.alerts"])

    def lines(self, level: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.log.read_text().splitlines()) if line["level"] == level]

    def over(self, page: Page) -> bool:
        """Whether everything that was sent is read, and all partitions have fallen silent."""
        return page.values("partition_idle") == [1.0] * len(self.sent)


def count(sent: Sent) -> int:
    return sum(map(len, sent.values()))
