"""The whole of it over a broker: a worker is stopped or killed half-way, and the alerts are those that a replay gives."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dataflows.broker import free_port
from dataflows.demo.page import Page
from dataflows.kafka_admin import create_missing, output_names
from dataflows.settings import Inputs, Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader, Received, Writer
from tests import traffic, worker_settings
from tests.faulty import Order, alerts, child
from tests.living import PATIENCE, FreshWorker, broker_or_skip, roadwatch, wait_for
from tests.worker_settings import TOPICS

ROOT = Path(__file__).parents[1]
SECONDS = 420  # of traffic: long enough for ice to be cleared
LATER = traffic.T0 + 3_600_000  # ms: arrival of what has none in the recording
Sent = dict[tuple[str, int], list[bytes]]  # messages by topic and partition


@dataclass
class Told:
    """What came of one history: half of the messages, a stop, the rest with a new worker."""

    stop: int  # the signal
    codes: tuple[int, int]
    pages: tuple[Page, Page]
    sent: Sent
    received: dict[str, list[Received]]  # by topic
    replayed: list[bytes]  # the alerts that the same messages give from files
    log: str

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(message.value or b"") for message in self.received["road.alerts"]]


@pytest.fixture(scope="module", params=[signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("history")
    files = traffic.files(folder, SECONDS)
    replay = child(Order(files, str(folder / "alerts.jsonl")))
    sent = {_partition(path): _messages(path, form) for path, form in files}
    with broker_or_skip() as broker:
        config, settings = configure(folder, broker)
        for topic in settings.inputs.topics:  # as many partitions as the recording has files of it
            alone = settings.model_copy(update={"inputs": Inputs(topics=(topic,))})
            create_missing(alone, sum(name == topic.topic for name, _ in sent), 1)
        halves = [
            {where: m[: len(m) // 2] for where, m in sent.items()},
            {where: m[len(m) // 2 :] for where, m in sent.items()},
        ]
        log = folder / "log"

        count = send(settings, halves[0])
        with FreshWorker(config, log) as worker:
            first = worker.page(lambda page: page.total("received_messages_total") == count, "the first half is read")
            code = worker.stop(request.param)

        send(settings, halves[1])
        with FreshWorker(config, log) as worker:
            second = worker.page(lambda page: page.values("partition_idle") == [1.0] * len(sent), "everything is read")
            codes = code, worker.stop(signal.SIGTERM)

        assert replay.wait(PATIENCE) == 0
        replayed = alerts(folder / "alerts.jsonl")
        with Reader(settings, *output_names(settings)) as reader:
            received = read_all(reader, settings, len(replayed))
    return Told(request.param, codes, (first, second), sent, received, replayed, log.read_text())


def configure(folder: Path, broker: str) -> tuple[Path, Settings]:
    path = worker_settings.write(folder / "roadwatch.toml", broker)
    return path, load(path)


def send(settings: Settings, sent: Sent) -> int:
    """Produce messages with their arrival as timestamp; returns how many."""
    writer = Writer(settings)
    for (topic, partition), messages in sent.items():
        for message in messages:
            arrival = json.loads(message)["rx"] if topic == "v2x" else LATER
            writer.write(topic, b"", message, arrival, partition)
    writer.flush()
    return sum(map(len, sent.values()))


def read_all(reader: Reader, settings: Settings, expected: int) -> dict[str, list[Received]]:
    """Everything in the output topics; a worker that has ended has delivered it all, so silence is the end."""
    received: dict[str, list[Received]] = {name: [] for name in output_names(settings)}

    def look() -> bool:
        got = reader.read(1.0)
        for message in got:
            received[message.topic].append(message)
        return not got and len(received[settings.outputs.alerts]) >= expected

    wait_for(look, f"{expected} alerts are there", 30.0)
    return received


def _partition(path: str) -> tuple[str, int]:
    """`.../v2.jsonl` -> ("v2x", 2)"""
    return TOPICS[Path(path).stem[0]], int(Path(path).stem[1:])


def _messages(path: str, form: str) -> list[bytes]:
    lines = Path(path).read_bytes().splitlines()
    return [bytes.fromhex(line.decode()) for line in lines] if form == "gbt32960" else lines


def test_exit_codes_and_a_quiet_log(told: Told) -> None:
    assert told.codes == ((0, 0) if told.stop == signal.SIGTERM else (-signal.SIGKILL, 0))
    troubles = [line for line in told.log.splitlines() if json.loads(line)["level"] not in ("debug", "info")]
    assert not troubles


def test_the_alerts_are_those_of_a_replay(told: Told) -> None:
    """None lost, none invented; only a kill may repeat some, and then byte for byte."""
    values = sorted(message.value or b"" for message in told.received["road.alerts"])
    assert sorted(set(values)) == told.replayed
    if told.stop == signal.SIGTERM:
        assert len(values) == len(told.replayed)


def test_something_opened_and_something_cleared(told: Told) -> None:
    assert {"opened", "cleared"} <= {alert["status"] for alert in told.alerts}


def test_alerts_are_valid_cloud_events(told: Told) -> None:
    schema = json.loads((ROOT / "dataflows" / "schema" / "alert.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    for message, alert in zip(told.received["road.alerts"], told.alerts, strict=True):
        validator.validate(alert)
        assert message.key.decode() == alert["incident_id"]
        assert {name: value.decode() for name, value in message.headers.items()} == {
            "ce_specversion": "1.0",
            "ce_id": alert["alert_id"],
            "ce_source": "/roadwatch",
            "ce_type": f"roadwatch.incident.{alert['status']}",
            "ce_time": alert["updated_at"],
            "ce_subject": alert["incident_id"],
            "ce_capstatus": "Test",
            "content-type": "application/json",
        }


def test_the_incidents_topic_ends_with_the_open_ones(told: Told) -> None:
    """The newest message of a key is its incident's newest state, or a tombstone once it was cleared."""
    last = {message.key: message.value for message in told.received["road.incidents"]}
    for alert in sorted(told.alerts, key=lambda alert: int(alert["sequence"])):
        newest = last[alert["incident_id"].encode()]
        if alert["status"] == "cleared":
            assert newest is None
        elif newest is not None:
            assert json.loads(newest)["sequence"] >= alert["sequence"]
    assert sum(value is None for value in last.values()) == len(
        {a["incident_id"] for a in told.alerts if a["status"] == "cleared"}
    )


def test_dead_letters_are_the_originals_with_their_origin(told: Told) -> None:
    wrong = {
        (topic, partition, offset): message
        for (topic, partition), messages in told.sent.items()
        for offset, message in enumerate(messages)
        if topic == "v2x" and json.loads(message)["lat"] > 90
    }
    dead = {}
    for letter in told.received["road.dead-letters"]:
        said = {name: value.decode() for name, value in letter.headers.items()}
        dead[said["topic"], int(said["partition"]), int(said["offset"])] = letter.value
        assert said["reason"] == "impossible_position"
        assert said["detail"]
    assert wrong
    assert dead == wrong


def test_cell_minutes_hide_the_few(told: Told) -> None:
    minutes = [json.loads(message.value or b"") for message in told.received["road.cells"]]
    assert minutes
    assert min(minute["vehicles"] for minute in minutes) >= 3


def test_received_is_accepted_and_late_and_refused(told: Told) -> None:
    for page in told.pages:
        received = page.total("received_records_total")
        parts = [page.total(f"{part}_records_total") for part in ("accepted", "late", "refused")]
        assert received == sum(parts) > 0
    total = sum(map(len, told.sent.values()))
    read = sum(page.total("received_messages_total") for page in told.pages)
    assert read == total if told.stop == signal.SIGTERM else read >= total


def test_nothing_lags_once_everything_is_read(told: Told) -> None:
    """Whichever broker it is: each says where its partitions end."""
    assert told.pages[1].values("consumer_lag_messages") == [0.0] * len(told.sent)


def test_no_identity_leaves(told: Told) -> None:
    names = {json.loads(message)["id"] for (topic, _), messages in told.sent.items() if topic == "v2x" for message in messages}
    out = [m.value or b"" for topic in ("road.alerts", "road.incidents", "road.cells") for m in told.received[topic]]
    out += [value for messages in told.received.values() for m in messages for value in (*m.headers.values(), m.key)]
    said = b"\n".join(out).decode() + told.log
    assert "LTESTVEHICLE" not in said
    assert not {name for name in names if name in said}


def test_a_missing_topic_ends_it_at_once(broker: str, tmp_path: Path) -> None:
    config, _ = configure(tmp_path, broker)
    ended = subprocess.run(
        roadwatch("run", "--config", str(config)), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert " ".join(ended.stderr.split()) == (
        f"roadwatch: the broker at {broker} has no topic v2x, ev, sensors, road.alerts, road.incidents, road.cells, "
        "road.dead-letters; make it: roadwatch topics, with the same --config and --set as here"
    )


@pytest.mark.parametrize("command", ["run", "watch", "topics"])
def test_an_unreachable_broker_is_one_sentence(command: str, tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    config, _ = configure(tmp_path, nowhere)
    ended = subprocess.run(
        roadwatch(command, "--config", str(config)), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    said = " ".join(ended.stderr.split())
    assert said.startswith(f"roadwatch: no Kafka broker answers at {nowhere} (")
    assert said.endswith("; start it, or set kafka.bootstrap_servers")


def test_topics_are_made_once(broker: str, tmp_path: Path) -> None:
    config, _ = configure(tmp_path, broker)
    said = [
        subprocess.run(roadwatch("topics", "--config", str(config)), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        for _ in range(2)
    ]
    assert [each.returncode for each in said] == [0, 0]
    assert said[0].stderr.startswith("made v2x, ev, sensors, road.alerts")
    assert "all topics are there" in said[1].stderr
