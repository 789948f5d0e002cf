"""A broker that is away fills no log: what two hundred clients tell, again and again, is said once and then once a minute."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dataflows import kafka_away, kafka_sink
from dataflows.health import Health
from dataflows.kafka_away import Away
from dataflows.kafka_sink import KafkaSinkPartition
from dataflows.settings import Kafka
from tests.test_kafka_reader import Clock


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    monkeypatch.setattr(kafka_away, "HEALTH", health := Health())
    health.broker(True)
    return health


def test_an_hour_without_a_broker_is_a_line_a_minute(health: Health) -> None:
    away = Away()
    with capture_logs() as lines:
        for second in range(3600):
            for _ in range(200):
                away.tell("1/1 brokers are down", float(second))
        away.back()
        away.tell("1/1 brokers are down", 3600.5)
    assert len(lines) == 60 + 2, "and what begins anew is told at once"
    assert not health.reachable


def test_one_of_all_partitions_asks_whether_it_is_back(health: Health) -> None:
    """Each question may stop the flow for 0.2 s: with two hundred a second it would stand."""
    away = Away()
    assert not away.asks("a", 0.0)
    away.tell("1/1 brokers are down", 0.0)
    assert [away.asks("a", now) for now in (0.1, 0.2, 1.0, 1.2, 2.0)] == [True, False, False, True, False]


def test_partitions_take_turns_in_asking_for_one_may_have_no_leader(health: Health) -> None:
    """And nobody waits for one that comes no more."""
    away = Away()
    away.tell("1/1 brokers are down", 0.0)
    asked = [who for now in range(1, 10) for who in "abc" if away.asks(who, float(now))]
    assert asked == list("abcabcabc")
    assert [who for now in range(20, 26) for who in "ab" if away.asks(who, float(now))] == list("ababab")


@pytest.mark.parametrize(("seconds", "lines"), [(2.0, 0), (30.0, 1), (600.0, 10)])
def test_a_snapshot_that_waits_for_the_broker_says_so_once_a_minute_unless_it_is_only_busy(
    seconds: float, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    class Waiting:
        """Takes what it has after so many seconds."""

        def __init__(self, _: object) -> None: ...

        def flush(self, wait: float) -> int:
            clock.now += wait
            return int(clock.now < seconds)

        def __len__(self) -> int:
            return 1

    monkeypatch.setattr(kafka_sink, "Producer", Waiting)
    monkeypatch.setattr(kafka_sink, "time", clock)
    monkeypatch.setattr(kafka_sink.FAILURE, "error", None)
    with capture_logs() as said:
        KafkaSinkPartition(Kafka()).snapshot()
    assert len(said) == lines
