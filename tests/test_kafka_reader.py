"""How a partition is polled: how much at a time, and when again. A consumer of ours stands in for the client's."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from dataflows import kafka_away, kafka_consumer, kafka_reader
from dataflows.health import Health
from dataflows.intake import LEAST, Intake, Progress
from dataflows.kafka_admin import BrokerError
from dataflows.kafka_closing import Closing
from dataflows.kafka_partitions import Starts
from dataflows.kafka_reader import KafkaPartition, Shared
from dataflows.pace import NAP, REST, Pace
from dataflows.seal import Seal
from dataflows.settings import Input, Kafka
from tests.test_intake import T0, WINDOW, intake, message

MOST = 3000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Sent:
    """A message as the client gives it."""

    def __init__(self, offset: int, value: bytes) -> None:
        self._offset, self._value = offset, value

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, T0

    def value(self) -> bytes:
        return self._value


class End:
    """What the client gives where the partition ends."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._PARTITION_EOF)

    def offset(self) -> int:
        return self._offset


class Client:
    """Has so many messages, all of one moment; notes how many it was asked for."""

    def __init__(self, count: int) -> None:
        self.left = [Sent(n, message(T0)) for n in range(count)]
        self.asked: list[int] = []

    def consume(self, most: int, timeout: float) -> list[Sent]:
        self.asked.append(most)
        got, self.left = self.left[:most], self.left[most:]
        return got

    def assign(self, partitions: object) -> None: ...

    def close(self) -> None: ...

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, len(self.left)


def partition(client: Client, way: Intake, monkeypatch: pytest.MonkeyPatch) -> KafkaPartition:
    monkeypatch.setattr(kafka_consumer, "Consumer", lambda _: client)
    shared = Shared(Kafka(poll_messages=MOST), Pace(("t/0",), WINDOW), Seal(b"key"), Starts(None), 1, {})
    return KafkaPartition(Input(topic="t", format="observation"), 0, way, shared, None)


def test_a_broker_that_goes_while_a_partition_is_begun_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noted, too, for of an exception there the engine of a cluster says nothing."""

    class Away(Client):
        def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    monkeypatch.setattr(kafka_reader.FAILURE, "error", None)
    with pytest.raises(BrokerError, match=r"where t, partition 0, begins and ends \(Local: Timed out\); see whether") as caught:
        partition(Away(0), intake(), monkeypatch)
    assert kafka_reader.FAILURE.error is caught.value


@pytest.mark.parametrize(
    ("known", "there", "begins"), [("a", "a", 700), ("", "a", 700), ("a", "", 700), ("a", "b", 3)], ids=str
)
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    known: str, there: str, begins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it can be told: an old broker names no ids. Time goes on from where it was."""

    class There(Client):
        def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
            return 3, 1200

        def commit(self, **_: object) -> None: ...

    monkeypatch.setattr(kafka_consumer, "Consumer", lambda _: There(0))
    seal, way = Seal(b"key"), intake()
    kept = seal.close("source/t/0", Progress(700, T0, T0, T0, known).pack())
    shared = Shared(Kafka(start="latest"), Pace(("t/0",), WINDOW), seal, Starts(None), 1, {"t": there})
    with capture_logs() as lines:
        one = KafkaPartition(Input(topic="t", format="observation"), 0, way, shared, kept)
    assert Progress.unpack(seal.open("source/t/0", one.snapshot())) == Progress(begins, T0, T0, T0, there or known)
    assert ["made anew" in line["event"] for line in lines] == [True] * (begins == 3)


def test_a_hundred_partitions_hold_no_more_than_sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clients hold of a backlog, all together."""
    given: list[dict[str, Any]] = []

    def consumer(config: dict[str, Any]) -> Client:
        given.append(config)
        return Client(0)

    monkeypatch.setattr(kafka_consumer, "Consumer", consumer)
    for count in (16, 100):
        shared = Shared(Kafka(), Pace(("t/0",), WINDOW), Seal(b"key"), Starts(None), count, {})
        KafkaPartition(Input(topic="t", format="observation"), 0, intake(), shared, None)
    few, many = (config["queued.max.messages.kbytes"] for config in given)
    assert 100 * many <= 16 * few


class Stopped:
    """A clock that stands still."""

    @staticmethod
    def now(_: object) -> datetime:
        return NOW

    @staticmethod
    def monotonic() -> float:
        return 0.0

    perf_counter = monotonic


def rest_of(reader: KafkaPartition, monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds to the next poll."""
    monkeypatch.setattr(kafka_reader, "datetime", Stopped)
    return ((reader.next_awake() or NOW) - NOW).total_seconds()


def test_a_poll_takes_what_is_read_in_a_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    client, way = Client(1), intake()
    reader = partition(client, way, monkeypatch)
    for portion in (LEAST, 2000, 10 * MOST):
        way.portion = portion
        reader.next_batch()
    assert client.asked == [LEAST, 2000, MOST]


def test_a_partition_that_came_in_drops_is_read_in_full_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client says after each fetch that this is the end, and such words take up room among the messages that a poll gets: a
    worker that was held up for a while read on by twenty, for ever, however many waited."""
    client, way = Client(3 * MOST), intake()
    client.left = [each for sent in client.left for each in (sent, End(sent.offset() + 1))]  # type: ignore[misc]
    reader = partition(client, way, monkeypatch)
    monkeypatch.setattr("dataflows.intake.time", Stopped)  # no time passes: everybody may take in as much as he likes
    for _ in range(4):
        reader.next_batch()
    assert client.asked[-1] == MOST


def test_who_is_behind_is_polled_at_once_and_who_is_not_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    client, way = Client(LEAST + 1), intake()
    reader = partition(client, way, monkeypatch)
    reader.next_batch()
    assert rest_of(reader, monkeypatch) == 0.0  # all that was asked for was there
    way.portion = MOST
    reader.next_batch()
    assert NAP <= rest_of(reader, monkeypatch) <= REST


@pytest.mark.parametrize(("to_close", "rest"), [(800, REST), (50, 0.05), (0, NAP)])
def test_it_is_polled_oftener_when_a_pane_can_close(to_close: int, rest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = partition(Client(1), intake(), monkeypatch)
    monkeypatch.setattr(Intake, "to_close", to_close)
    monkeypatch.setattr(kafka_reader, "time", Stopped)
    reader.next_batch()
    assert rest_of(reader, monkeypatch) == pytest.approx(rest, abs=1e-5)


def test_messages_that_were_fetched_before_do_not_bring_a_broker_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hands out what it has though no broker answers any more; only an answer means that one is there."""
    client, away = Client(10 * LEAST), True

    def ends(*_: object, cached: bool = False, **__: object) -> tuple[int, int]:
        if away and not cached:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return 0, 0

    reader = partition(client, intake(), monkeypatch)
    monkeypatch.setattr(client, "get_watermark_offsets", ends)
    health = Health()
    for module in (kafka_reader, kafka_away):
        monkeypatch.setattr(module, "HEALTH", health)
    monkeypatch.setattr(kafka_away, "LOOK", 0.0)  # s
    health.broker(False)
    for way_off in (True, False):
        away = way_off
        assert reader.next_batch()
        assert health.reachable is not way_off


class Silent(Client):
    """Says at every assignment that the partition ends at `end`, behind all of its messages."""

    def __init__(self, count: int, end: int) -> None:
        super().__init__(count)
        self.end, self.ends = end, 0

    def assign(self, partitions: object) -> None:
        self.ends = 1

    def consume(self, most: int, timeout: float) -> list[Any]:
        if self.left or not self.ends:
            return super().consume(most, timeout)
        self.ends = 0
        return [End(self.end)]


class Clock:
    """One that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def waited_for(self, reader: KafkaPartition, seconds: float) -> list[bool]:
        """Whether the partition is waited for, as it says in the polls of so many seconds."""
        said = []
        for _ in range(round(10 * seconds)):
            self.now += 0.1
            said += [poll.tick.holds for poll in reader.next_batch() if poll.tick is not None]
        return said


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(kafka_reader, "time", clock := Clock())
    return clock


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    monkeypatch.setattr(kafka_reader, "HEALTH", health := Health())
    health.broker(True)
    return health


@pytest.mark.parametrize("end", [3, 4, 9])
@pytest.mark.usefixtures("health")
def test_a_partition_is_silent_wherever_its_end_is(end: int, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind its last message there may be markers of transactions, which are offsets and no messages."""
    reader = partition(Silent(3, end), intake(), monkeypatch)
    assert clock.waited_for(reader, 60.0) == [True, False]


def test_nobody_is_silent_while_the_broker_is_away(clock: Clock, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is back others may be read before what came here meanwhile, which would then be too late."""
    reader = partition(Silent(3, 3), intake(), monkeypatch)
    monkeypatch.setattr(KafkaPartition, "_look_around", lambda _: None)
    assert clock.waited_for(reader, 60.0) == [True, False]
    health.broker(False)
    assert clock.waited_for(reader, 60.0) == [True]
    health.broker(True)
    assert clock.waited_for(reader, 60.0) == [False]


def test_an_end_does_not_wait_for_a_broker_that_hangs(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: with offsets to be noted the client waits for it for ever when it is closed."""
    monkeypatch.setattr("dataflows.kafka_closing.PATIENCE", 0.0)
    monkeypatch.setattr(kafka_reader, "CLOSING", Closing())
    hangs, asked = Event(), []

    class Slow(Client):
        def commit(self, **_: object) -> None:
            asked.append("commit")

        def close(self) -> None:
            hangs.wait(30.0)  # s, or the test itself would hang where the code does
            asked.append("close")

    reader = partition(Slow(3), intake(), monkeypatch)
    reader.next_batch()
    assert reader.snapshot()
    health.broker(False)
    assert reader.snapshot()
    reader.close()
    assert asked == ["commit"]
    hangs.set()
