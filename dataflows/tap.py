"""Topics from outside the dataflow: what `watch` and the demonstration read, and what the demonstration writes."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from dataflows.kafka_admin import TO_MAKE, BrokerError, client
from dataflows.kafka_admin import topics as partitions
from dataflows.settings import Settings

PARTITION_BY_KEY = -1  # what librdkafka takes for: a partition by the hash of the key
AT_ONCE = 500  # messages in one call: a screenful of alerts is some dozens


class Received(NamedTuple):
    """One message of a topic. A value of None is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: dict[str, bytes]
    timestamp: int  # ms since the epoch


class Reader:
    """Reads topics from their beginning, all partitions, without a group: it leaves no trace in the broker."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        """Raises BrokerError if the broker or a topic is missing."""
        servers, known = settings.kafka.bootstrap_servers, partitions(settings)
        self._consumer = Consumer(
            client(settings.kafka)
            | {
                "group.id": f"{settings.kafka.group}-reader",  # the client insists; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )
        missing = [topic for topic in topics if topic not in known]
        if missing:
            raise BrokerError(f"the broker at {servers} has no topic {', '.join(missing)}; {TO_MAKE}")
        self._consumer.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in range(known[topic])]
        )

    def read(self, timeout: float = 0.2) -> list[Received]:
        """What has come; waits `timeout` seconds at most for it. The client itself reconnects to a broker that was away."""
        got = self._consumer.consume(AT_ONCE, timeout)
        return [_received(message) for message in got if message.error() is None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._consumer.close()


class Writer:
    """Writes messages with the time at which they are to have arrived."""

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka.bootstrap_servers
        self._refused: str | None = None
        self._producer = Producer(
            client(settings.kafka)
            | {"linger.ms": 10, "queue.buffering.max.messages": 1_000_000, "message.timeout.ms": 30_000, "acks": "all"}
        )

    def write(self, topic: str, key: bytes, value: bytes, timestamp: int, partition: int = PARTITION_BY_KEY) -> None:
        """Queue one message; messages of one key keep their order. `timestamp` in ms. Raises BrokerError."""
        self._producer.produce(topic, value, key, partition, timestamp=timestamp, on_delivery=self._delivered)
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Wait until the broker has everything. Raises BrokerError."""
        while self._producer.flush(1.0):
            self._check()
        self._check()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused = f"the broker at {self._servers} did not take a message ({error.str()}); see whether it still runs"

    def _check(self) -> None:
        if self._refused is not None:
            raise BrokerError(self._refused)


def _received(message: Message) -> Received:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Received(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=_bytes(message.key()),
        value=None if message.value() is None else _bytes(message.value()),
        headers={name: _bytes(value) for name, value in pairs},
        timestamp=message.timestamp()[1],
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
