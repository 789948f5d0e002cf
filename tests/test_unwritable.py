"""Outputs that take nothing: for a moment here, for five minutes in `make torture`; and a record that is refused for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from dataflows import kafka_sink
from dataflows.alerts import Record
from dataflows.settings import Kafka
from tests import unwritable

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


def test_what_the_client_refuses_by_itself_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_sink, "Producer", Knowing)
    monkeypatch.setattr(kafka_sink.FAILURE, "error", None)
    sink = kafka_sink.KafkaSinkPartition(Kafka())
    with pytest.raises(kafka_sink.DeliveryError, match=r"topic road\.alerts refused a record: .*; check the topic's settings"):
        sink.write_batch([Record("road.alerts", b"", b"{}")])
