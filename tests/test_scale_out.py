"""Workers that share nothing: a province and a store each, and all together they say what one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataflows.kafka_admin import BrokerError, connect, create_missing, output_names
from dataflows.settings import Inputs
from dataflows.settings_reader import load
from dataflows.tap import Reader, Writer
from tests import traffic, worker_settings
from tests.faulty import Order, alerts, child
from tests.living import PATIENCE, LivingWorker, broker_or_skip, wait_for

SECONDS = 150  # of traffic
NORTH = 6.0  # degrees between two provinces: no shard has cells of both


@pytest.fixture(scope="module")
def provinces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One recording each."""
    folder, files = tmp_path_factory.mktemp("provinces"), []
    for number in range(2):
        recorded = traffic.partitions(SECONDS, seed=number + 1, vehicles=45)
        rows = [json.loads(message) for _, message in sorted(recorded["v0"] + recorded["v1"] + recorded["v2"])]
        for row in rows:
            row["lat"] = round(row["lat"] + number * NORTH, 6) if row["lat"] < 90.0 else row["lat"]
        files.append(folder / f"province{number}.jsonl")
        files[-1].write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return files


@pytest.fixture(scope="module")
def whole(provinces: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What one worker says of both."""
    return _replayed(provinces, tmp_path_factory.mktemp("whole"))


def test_each_province_alone_says_its_part(provinces: list[Path], whole: list[bytes], tmp_path: Path) -> None:
    parts = [_replayed([province], tmp_path) for province in provinces]
    assert all(parts)
    assert sorted(parts[0] + parts[1]) == whole


def test_two_workers_over_one_topic_say_what_one_says(provinces: list[Path], whole: list[bytes], tmp_path: Path) -> None:
    """A partition a province, a store a worker; alerts go to one topic, which is all that they share."""
    with broker_or_skip() as broker:
        configs = [_config(tmp_path / f"worker{number}", broker, number) for number in range(2)]
        settings = load(configs[0])
        create_missing(settings, 2, 1)
        writer, sent = Writer(settings), []
        for number, province in enumerate(provinces):
            messages = province.read_bytes().splitlines()
            sent.append(len(messages))
            for message in messages:
                writer.write("v2x", b"", message, json.loads(message)["rx"], number)
        writer.flush()
        with LivingWorker(configs[0], tmp_path / "log0") as first, LivingWorker(configs[1], tmp_path / "log1") as second:
            for worker, count in ((first, sent[0]), (second, sent[1])):
                page = worker.page(lambda page: page.values("partition_idle") == [1.0], "all of its partition is read")
                assert page.total("received_messages_total") == count, "it reads nothing of the other's"
            assert [first.stop(), second.stop()] == [0, 0]
        with Reader(settings, *output_names(settings)) as reader:
            said: list[bytes] = []

            def all_said() -> bool:
                got = reader.read(1.0)
                said.extend(m.value or b"" for m in got if m.topic == settings.outputs.alerts)
                return not got and len(said) >= len(whole)

            wait_for(all_said, "the alerts of both are there")
    assert sorted(said) == whole


def test_a_partition_that_is_not_there_is_named(tmp_path: Path) -> None:
    with broker_or_skip() as broker:
        settings = load(_config(tmp_path / "worker", broker, 2))
        create_missing(settings, 2, 1)
        with pytest.raises(BrokerError, match=r"v2x has 2 partitions, counted from 0, so no 2: correct inputs.topics\[0\]"):
            connect(settings)


def test_a_misspelt_topic_is_told_the_right_one(tmp_path: Path) -> None:
    """Or the advice to make it would keep the mistake for good."""
    with broker_or_skip() as broker:
        settings = load(_config(tmp_path / "worker", broker, 0))
        create_missing(settings, 1, 1)
        wrong = settings.inputs.topics[0].model_copy(update={"topic": "v2"})
        with pytest.raises(BrokerError, match=r"no topic v2; did you mean v2x\? If not, make it: roadwatch topics, with"):
            connect(settings.model_copy(update={"inputs": Inputs(topics=(wrong,))}))


def _config(folder: Path, broker: str, partition: int) -> Path:
    folder.mkdir()
    config = worker_settings.write(folder / "roadwatch.toml", broker)
    topics = [line for line in config.read_text().splitlines() if not line.strip().startswith("{topic")]
    at = topics.index("topics = [") + 1
    topics[at:at] = [f'{{topic = "v2x", format = "observation", partitions = [{partition}]}},']
    config.write_text("\n".join(topics))
    return config


def _replayed(files: list[Path], folder: Path) -> list[bytes]:
    out = folder / "alerts.jsonl"
    assert child(Order([(str(file), "observation") for file in files], str(out))).wait(PATIENCE) == 0
    return sorted(alerts(out))
