"""Outputs that take nothing: for a moment here, for five minutes in `make torture`; and a record that is refused for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dataflows import kafka_sink
from dataflows.alerts import Record, dead_letter_records
from dataflows.health import Health
from dataflows.intake import DeadLetter
from dataflows.kafka_admin import create_missing
from dataflows.kafka_sink import KafkaSinkPartition
from dataflows.settings import Kafka
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests import unwritable
from tests.living import wait_for

SEED = 1


def test_a_record_that_is_refused_ends_the_worker_with_one_sentence(tmp_path: Path) -> None:
    assert unwritable.refuse(tmp_path, SEED).alerts


def test_a_worker_that_cannot_write_stands_still_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    outcome, _ = unwritable.stop(tmp_path, SEED)
    assert outcome.alerts


def test_what_a_killed_worker_wrote_and_did_not_deliver_is_not_taken_for_delivered(tmp_path: Path) -> None:
    assert unwritable.kill_between(tmp_path, SEED).alerts


class Knowing:
    """A client that has heard before that it may not write there: it refuses by itself."""

    def __init__(self, _: object) -> None: ...

    def produce(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    def poll(self, _: float) -> None: ...


def test_what_the_client_refuses_by_itself_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_sink, "Producer", Knowing)
    monkeypatch.setattr(kafka_sink.FAILURE, "error", None)
    sink = kafka_sink.KafkaSinkPartition(Kafka())
    with pytest.raises(kafka_sink.DeliveryError, match=r"topic road\.alerts refused a record: .*; check the topic's settings"):
        sink.write_batch([Record("road.alerts", b"", b"{}")])


def test_a_dead_letter_that_is_too_large_for_the_client_is_cut(broker: str, tmp_path: Path) -> None:
    """The client takes a megabyte at most, and a broker lets a little more in: such a message must not end the worker."""
    settings = load(None, {"kafka": {"bootstrap_servers": broker}, "privacy": {"key": "k"}})
    create_missing(settings, 1, 1)
    letter = DeadLetter(b"a" * 500_000 + b"b" * 548_000, "v2x", 0, 17, "too_large", "larger than any")
    small = letter._replace(message=b"{", offset=18)
    sink = KafkaSinkPartition(settings.kafka)
    sink.write_batch(dead_letter_records([letter, small], settings.outputs))
    sink.snapshot()
    with Reader(settings, settings.outputs.dead_letters) as reader:
        received = wait_for(lambda: reader.read(1.0), "they are there")
    by_key = {each.key: each for each in received}
    assert set(by_key) == {b"v2x/0/17", b"v2x/0/18"}
    cut = by_key[b"v2x/0/17"]
    assert (cut.value, cut.headers["bytes"], cut.headers["reason"]) == (letter.message[:524_000], b"1048000", b"too_large")
    assert "bytes" not in by_key[b"v2x/0/18"].headers


class Narrow:
    """A client whose topic takes `LIMIT` bytes a message, and says so when it has been asked."""

    LIMIT = 4000

    def __init__(self, _: object) -> None:
        self.waiting: list[tuple[bytes, Any]] = []
        self.taken: list[bytes] = []

    def __len__(self) -> int:
        return len(self.waiting)

    def produce(self, _: str, value: bytes, *__: object, on_delivery: Any, **___: object) -> None:
        self.waiting.append((value, on_delivery))

    def poll(self, _: float) -> None: ...

    def flush(self, _: float) -> int:
        waiting, self.waiting = self.waiting, []
        for value, report in waiting:
            too_large = len(value) > self.LIMIT
            self.taken += [] if too_large else [value]
            report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if too_large else None, None)
        return len(self.waiting)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> KafkaSinkPartition:
    monkeypatch.setattr(kafka_sink, "Producer", Narrow)
    monkeypatch.setattr(kafka_sink.FAILURE, "error", None)
    return KafkaSinkPartition(Kafka())


def test_it_is_cut_until_the_topic_takes_it(narrow: KafkaSinkPartition) -> None:
    letters = [Record("dead", b"1", b"x" * 9999, reason="too_large"), Record("dead", b"2", b"y" * 4000, reason="unreadable")]
    narrow.write_batch(letters)
    narrow.snapshot()
    assert sorted(narrow._producer.taken) == [b"x" * 2499, b"y" * 4000]  # type: ignore[attr-defined]


def test_closing_raises_nothing(narrow: KafkaSinkPartition, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine also closes while it falls over, and an exception then would abort the process without a word."""
    narrow.write_batch([Record("dead", b"1", b"x" * 9999, reason="too_large")])

    def refuse(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    monkeypatch.setattr(narrow._producer, "produce", refuse)
    narrow.close()
    with pytest.raises(kafka_sink.DeliveryError, match="dead refused a record"):
        narrow.snapshot()


def test_an_alert_is_never_cut(narrow: KafkaSinkPartition) -> None:
    narrow.write_batch([Record("road.alerts", b"1", b"x" * 9999)])
    with pytest.raises(kafka_sink.DeliveryError, match=r"topic road\.alerts refused a record"):
        narrow.snapshot()


def test_a_full_queue_is_not_waited_for_for_ever_once_it_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Narrow):
        def produce(self, *_: object, **__: object) -> None:
            raise BufferError

    monkeypatch.setattr(kafka_sink, "Producer", Full)
    monkeypatch.setattr(kafka_sink.FAILURE, "error", None)
    monkeypatch.setattr(kafka_sink, "HEALTH", health := Health())
    health.stopping()
    with pytest.raises(kafka_sink.DeliveryError, match="before the end: nothing is lost, the next start sends them"):
        KafkaSinkPartition(Kafka()).write_batch([Record("road.alerts", b"1", b"{}")])
