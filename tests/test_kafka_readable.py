"""A partition that the broker does not let us read is told of once, and remembered until it can be read."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from confluent_kafka import KafkaError, Producer
from structlog.testing import capture_logs

from dataflows import kafka_admin, kafka_away, kafka_readable, kafka_reader
from dataflows.health import Health, serve
from dataflows.kafka_partitions import Starts
from dataflows.kafka_readable import AGAIN, ANSWER, ASK, SILENT, Readable
from dataflows.kafka_reader import NOT_YET, KafkaPartition, Shared
from dataflows.metrics import METRICS, Metrics
from dataflows.pace import Pace
from dataflows.seal import Seal
from dataflows.settings import Input, Kafka
from tests.living import wait_for
from tests.mock_cluster import FETCH, MockCluster
from tests.test_intake import WINDOW, intake
from tests.test_kafka_reader import Client, Clock, End, partition

REFUSED = "Broker: Topic authorization failed"


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    """Of a worker that does well."""
    health = Health()
    for module in (kafka_readable, kafka_reader, kafka_away):
        monkeypatch.setattr(module, "HEALTH", health)
    health.assigned(1)
    health.broker(True)
    health.beat()
    return health


def unreadable() -> float:
    return METRICS.value("partition_unreadable", topic="t", partition="0")


def test_what_was_refused_is_so_until_something_comes(health: Health) -> None:
    with capture_logs() as lines:
        each = Readable("t", 0, 0.0)
        assert (health.ready(), unreadable()) == (True, 0.0)
        for second in range(50):
            each.refused(REFUSED, float(second))
            assert unreadable() == 1.0
            assert health.unready() == (
                f"t cannot be read, partition 0 ({REFUSED}): "
                "check our rights and whether the topic is there; it goes on by itself.",
            )
        each.said(50.0)
        assert (health.ready(), unreadable()) == (True, 0.0)
    assert [line["log_level"] for line in lines] == ["warning", "info"]


def test_who_says_nothing_is_asked_and_must_answer(health: Health) -> None:
    each = Readable("t", 0, 0.0)
    assert not each.asks(ASK)
    assert each.asks(ASK + 1)
    each.asked(ASK + 1)
    assert not each.asks(ASK + 1 + ANSWER)
    assert health.ready()
    assert each.asks(ASK + 2 + ANSWER), "and is asked again, for a client says only once that it has come to an end"
    assert SILENT in health.unready()[0]
    each.asked(ASK + 2 + ANSWER)
    assert not each.asks(ASK + 2 + ANSWER + AGAIN)


def test_nobody_must_answer_who_was_not_asked(health: Health) -> None:
    """A partition that waits for the others is not polled, nor is one whose broker is away."""
    each = Readable("t", 0, 0.0)
    each.asked(1.0)
    each.pauses(100.0)
    assert not each.asks(101.0)
    assert health.ready()


def test_a_broker_that_answers_nobody_is_one_fault(health: Health) -> None:
    """One that was stopped by a signal still takes connections and says nothing; the client tells of it after 20 s."""
    some = [Readable("t", number, 0.0) for number in range(3)]
    with capture_logs() as lines:
        for each in some:
            each.asked(0.0)
        for second in range(1 + 2 * kafka_admin.SILENT // 1000):
            for each in some:
                each.asks(float(second))
    assert (health.ready(), lines) == (True, [])


def test_who_did_not_answer_since_the_broker_is_away_is_not_told_beside_it(health: Health) -> None:
    silent, refused = Readable("t", 0, 0.0), Readable("t", 1, 0.0)
    silent.asked(0.0)
    silent.asks(ANSWER + 1)
    refused.refused(REFUSED, ANSWER + 1)
    assert f"partition 0 ({SILENT})" in health.unready()[0]
    for each in (silent, refused):
        each.pauses(ANSWER + 2)
    (sentence,) = health.unready()
    assert f"partition 1 ({REFUSED})" in sentence, "which the broker said itself"
    assert unreadable() == 0.0


def test_a_hundred_partitions_are_one_sentence(health: Health) -> None:
    for number in range(3):
        health.unreadable("t", number, f"t [{number}]: topic does not exist")
    (sentence,) = health.unready()
    assert sentence.startswith("t cannot be read, partition 0, 1, 2 (t: topic does not exist): ")


class Refusing(Client):
    """Says once that the topic may not be read, and nothing more until it is assigned anew and may be."""

    def __init__(self) -> None:
        super().__init__(0)
        self.allowed, self.words = False, [self]

    def error(self) -> KafkaError:
        return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    def assign(self, partitions: object) -> None:
        if self.allowed:
            self.words = [End(0)]  # type: ignore[list-item]

    def consume(self, most: int, timeout: float) -> list[Any]:
        got, self.words = self.words, []
        return got


def test_a_partition_without_rights_is_told_until_they_are_given(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_reader, "time", clock := Clock())
    reader = partition(client := Refusing(), intake(), monkeypatch)
    clock.waited_for(reader, 600.0)
    assert "t cannot be read, partition 0" in health.unready()[0]
    client.allowed = True
    clock.waited_for(reader, 2 * AGAIN)
    assert health.ready()


def test_a_topic_that_is_gone_is_told_to_the_error_callback_alone(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = partition(Client(0), intake(), monkeypatch)
    reader._error(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "t [0]: topic does not exist"))
    assert "(t: topic does not exist)" in health.unready()[0]
    reader.close()
    assert health.ready()


def test_the_client_tells_what_a_broker_refuses(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client: it says once that it may not read, and after that not even that this is the end."""
    with MockCluster(1) as cluster, serve(health, port=0, metrics=Metrics()) as server:
        cluster.topic("t", 1)
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        producer.produce("t", b"{}")
        producer.flush()
        kafka = Kafka(bootstrap_servers=cluster.bootstrap, start="latest")
        shared = Shared(kafka, Pace(("t/0",), WINDOW), Seal(b"key"), Starts(None), 1, {})
        reader = KafkaPartition(Input(topic="t", format="observation"), 0, intake(), shared, None)

        def problems() -> str:
            reader.next_batch()
            try:
                with urlopen(f"{server.url}/readyz", timeout=5.0):
                    return ""
            except HTTPError as error:
                return " ".join(json.loads(error.read())["problems"])

        def read_to_its_end() -> bool:
            reader.next_batch()
            return reader._end_seen != NOT_YET

        wait_for(read_to_its_end, "the partition is read")  # before that the client may keep a refusal to itself
        cluster.fail(1, FETCH, KafkaError.TOPIC_AUTHORIZATION_FAILED)
        assert "Topic authorization failed" in wait_for(problems, "it says that it may not read")
        monkeypatch.setattr(kafka_readable, "AGAIN", 0.1)
        wait_for(lambda: not problems(), "it can read again")
        reader.close()
