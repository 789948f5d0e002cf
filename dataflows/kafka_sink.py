"""Kafka's lower end: records go out with acks=all, every delivery report is looked at, and a snapshot waits for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dataflows.alerts import Record
from dataflows.health import HEALTH
from dataflows.kafka_admin import SILENT, client
from dataflows.metrics import METRICS
from dataflows.panics import LastWords
from dataflows.seldom import Seldom
from dataflows.settings import Kafka
from dataflows.told import ToldError

log = structlog.get_logger(__name__)

LINGER = 5  # ms: cells come by the thousand once a minute; alerts wait for no company
SHORT = 1000  # bytes: a topic that does not take so much takes no alerts either
SHORTLY = 3  # s that a busy broker may take without a line in the log
LAST_WAIT = 4.0  # s that a worker which is asked to end waits for the broker: with all else the end takes 5 then


class KafkaSink(FixedPartitionedSink[Record, None]):
    """One producer, wherever the cluster places it; a snapshot waits until the broker has everything."""

    def __init__(self, kafka: Kafka, linger: int = LINGER) -> None:
        """`linger`: ms that a record waits for others to go with it."""
        self._kafka = kafka
        self._linger = linger

    def list_parts(self) -> list[str]:
        return ["producer"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> KafkaSinkPartition:
        return KafkaSinkPartition(self._kafka, self._linger)


class DeliveryError(ToldError):
    """The broker refused a record for good: one sentence, and the worker must end rather than lose it."""


FAILURE = LastWords[DeliveryError]()


class KafkaSinkPartition(StatefulSinkPartition[Record, None]):
    def __init__(self, kafka: Kafka, linger: int = LINGER) -> None:
        self._refused: str | None = None
        self._shorter: list[Record] = []  # dead letters that were too large, cut
        self._patience = LAST_WAIT
        self._producer = Producer(
            client(kafka)
            | {
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # an outage delays records, it never drops them
                "request.timeout.ms": SILENT,
                "socket.timeout.ms": SILENT,
                "linger.ms": linger,
                "compression.type": "lz4",
            }
        )

    def write_batch(self, values: list[Record]) -> None:
        METRICS.dead_letters(Counter(record.reason for record in values if record.reason))
        for record in values:
            self._produce(record)
        HEALTH.undelivered(0)
        self._producer.poll(0)
        self._produce_shorter()
        self._check()

    def _produce(self, record: Record) -> None:
        """Raises nothing, for `close` comes here too: whoever may raise asks `_check`."""
        while FAILURE.error is None and self._refused is None:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=list(record.headers), on_delivery=self._reporter(record)
                )
                return
            except BufferError:  # full: wait for the broker, and so hold back the input
                HEALTH.undelivered(len(self._producer))
                before = time.monotonic()
                self._producer.poll(0.1)  # returns as soon as one is delivered
                self._lose_patience(time.monotonic() - before)
            except KafkaException as error:  # the client knows by now that the broker will refuse it, and does not even try
                self._refuse(record, error.args[0])
                return

    def _produce_shorter(self) -> None:
        while self._shorter:
            self._produce(self._shorter.pop())

    def snapshot(self) -> None:
        self._flush()
        self._check()

    def close(self) -> None:
        """The engine also closes while it falls over, and an exception then would abort the process without a word."""
        self._flush()

    def _flush(self) -> None:
        """Until the broker has everything, or has refused something; or for a while only, once the worker is asked to end."""
        seldom, waited = Seldom(), 0
        while FAILURE.error is None and self._refused is None:
            waiting = self._producer.flush(1.0)
            if self._shorter:
                self._produce_shorter()
            elif not waiting:
                break
            else:
                HEALTH.undelivered(waiting)
                waited += 1
                if waited >= SHORTLY and seldom.due(time.monotonic()):
                    log.warning("waiting for the broker to take records", waiting=waiting)
                self._lose_patience(1.0)
        HEALTH.undelivered(0)

    def _lose_patience(self, seconds: float) -> None:
        """Once the worker is asked to end it waits for the broker for LAST_WAIT in all."""
        self._patience -= seconds * HEALTH.stops
        if self._patience <= 0.0:
            waiting = len(self._producer)
            FAILURE.error = DeliveryError(
                f"the broker did not take {waiting} records before the end: nothing is lost, the next start sends them"
            )

    def _reporter(self, record: Record) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._refuse(record, error)
                return
            METRICS.delivered(record.topic)
            if record.label is not None:
                now = time.time()
                METRICS.alerted(*record.label, latency=now - record.arrival / 1000 if record.arrival >= 0 else None)

        return report

    def _refuse(self, record: Record, error: KafkaError) -> None:
        """Whoever may write to an input must not end us by what is too large for a dead letter: such a one is cut."""
        value = record.value or b""
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and record.reason and len(value) > SHORT:
            self._shorter.append(record.cut(len(value) // 2))
            return
        METRICS.delivery_failed(record.topic)
        self._refused = f"topic {record.topic} refused a record: {error.str()}"

    def _check(self) -> None:
        if self._refused is not None:
            FAILURE.error = DeliveryError(
                f"{self._refused}; check the topic's settings and rights, then start again: nothing is lost"
            )
        if FAILURE.error is not None:
            raise FAILURE.error
