"""What docs/operations.md tells to set for a second worker keeps it apart from the first: both run, and each tells its own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from dataflows.kafka_admin import create_missing
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader, Received, Writer
from tests import worker_settings
from tests.forked import ROOT, Forked
from tests.living import LivingWorker, Process, wait_for

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
PART = PAGE.split("\n## A second worker beside the first\n")[1].split("\n## ")[0]
EXPORTS = dict(re.findall(r"^export (\w+)=(\S+)", PART, re.MULTILINE))

Second = Callable[[], None]


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Second:
    """From its call on the environment is the second worker's."""

    def export() -> None:
        for name, value in EXPORTS.items():
            monkeypatch.setenv(name, value)

    return export


def test_it_shares_its_input_and_its_key_and_nothing_else(second: Second) -> None:
    first = load()
    second()
    other = load()
    assert (other.inputs, other.privacy, other.window) == (first.inputs, first.privacy, first.window)
    assert not set(dict(first.outputs).values()) & set(dict(other.outputs).values())
    for apart in ("kafka.group", "recovery.directory", "metrics.port"):
        section, name = apart.split(".")
        assert getattr(getattr(first, section), name) != getattr(getattr(other, section), name)
    assert other.alerts.status != "Actual"


def test_both_run_and_each_tells_its_own_consumers(second: Second, broker: str, tmp_path: Path) -> None:
    class Here(LivingWorker):
        """Started where its relative paths count from."""

        @staticmethod
        def start(*command: str, out: IO[bytes]) -> Process:
            return Forked(*command, cwd=tmp_path, out=out)

    config = worker_settings.write(tmp_path / "roadwatch.toml", broker, idle_after=0.5)
    text = config.read_text()
    config.write_text(text.replace(f'directory = "{tmp_path}/recovery"', 'directory = "var/recovery"'))
    both: list[Settings] = []
    with ExitStack() as stack:
        for name in ("first", "second"):
            if name == "second":
                second()
            both.append(settings := load(config))
            create_missing(settings, 1, 1)
            stack.enter_context(Here(config, tmp_path / name))
        crash(both[0])
        told = [alerts(each) for each in both]
    assert told[0]["kind"] == told[1]["kind"] == "accident"
    assert told[0]["incident_id"] == told[1]["incident_id"], "under the same key"
    assert sorted(each.name for each in (tmp_path / "var").iterdir()) == ["recovery", "trial-recovery"]


def crash(settings: Settings) -> None:
    """An airbag, and what moves time on."""
    writer, now = Writer(settings), time.time_ns() // 1_000_000
    for ago, airbag in ((20_000, 1), (0, 0)):
        said = {"id": "a", "ts": now - ago, "lat": 22.5, "lon": 114.1, "v": 0.0, "hdg": 0.0, "ab": airbag}
        writer.write("v2x", b"a", json.dumps(said).encode(), now)
    writer.flush()


def alerts(settings: Settings) -> dict[str, object]:
    """The first on the topic of these settings."""
    with Reader(settings, settings.outputs.alerts) as reader:
        received: list[Received] = wait_for(lambda: reader.read(1.0), f"an alert on {settings.outputs.alerts}")
    assert received[0].value is not None
    found: dict[str, object] = json.loads(received[0].value)
    return found
