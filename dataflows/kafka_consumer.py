"""The client that reads one partition: what it may do by itself, and how much it may hold."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError

from dataflows.kafka_admin import SILENT, client
from dataflows.settings import Kafka

ROOM = 262_144  # kB that the clients of all partitions together hold ahead of their being read: 16 of them have what each may
LEAST_ROOM, MOST_ROOM = 1024, 16_384  # kB for each: what one fetch brings; more made nobody quicker


def room(partitions: int) -> int:
    """How much a partition's client may hold ahead, in kB; its own default of 64 MB would be 6 GB with a hundred of them.

    >>> [room(count) for count in (1, 16, 32, 100, 1000)]
    [16384, 16384, 8192, 2621, 1024]
    """
    return min(MOST_ROOM, max(LEAST_ROOM, ROOM // partitions))


def consumer(kafka: Kafka, partitions: int, error: Callable[[KafkaError], None]) -> Consumer:
    """One of so many in this process, to which no partition is assigned yet; `error` hears what belongs to no message."""
    return Consumer(
        client(kafka)
        | {
            "error_cb": error,
            "group.id": kafka.group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",  # the default would jump to the end in silence
            "queued.max.messages.kbytes": room(partitions),
            "fetch.wait.max.ms": 20,
            "fetch.queue.backoff.ms": 5,  # with a full queue the client would pause for a second, its default
            "socket.timeout.ms": SILENT,
        }
    )
