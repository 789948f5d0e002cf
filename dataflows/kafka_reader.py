"""One Kafka partition, read: where it is, what was lost of it, and when it is silent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog
from bytewax.inputs import StatefulSourcePartition
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from dataflows.complaint import Complaint
from dataflows.health import HEALTH
from dataflows.intake import Intake, Poll, Progress
from dataflows.kafka_admin import BrokerError
from dataflows.kafka_away import AWAY
from dataflows.kafka_closing import CLOSING
from dataflows.kafka_consumer import consumer
from dataflows.kafka_partitions import Starts
from dataflows.kafka_readable import Readable
from dataflows.metrics import METRICS
from dataflows.pace import Pace, nap
from dataflows.panics import LastWords
from dataflows.seal import Seal
from dataflows.seldom import Seldom
from dataflows.settings import Input, Kafka
from dataflows.stop import STOP

log = structlog.get_logger(__name__)

OF_A_TOPIC = {  # what the client tells its error callback, and nobody else, of the one partition that it reads
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
FIRST_ASKED, ASKED = 10.0, 2.0  # s that the broker has to say where a partition begins and ends: at a start, and while all wait
NOT_YET = float("-inf")  # s, on the clock that does not jump
FAILURE = LastWords[BrokerError]()


@dataclass(frozen=True)
class Shared:
    """What all partitions of a process share."""

    kafka: Kafka
    pace: Pace
    seal: Seal
    starts: Starts
    partitions: int  # how many there are in all
    topics: Mapping[str, str]  # Kafka's ids of the topics, as far as they are known


class KafkaPartition(StatefulSourcePartition[Poll, bytes]):
    """One partition, read by its own consumer from the offset that the recovery store gives."""

    def __init__(self, each: Input, number: int, intake: Intake, shared: Shared, resume: bytes | None) -> None:
        self._intake = intake
        self._pace, self._kafka = shared.pace, shared.kafka
        self._seal, self._place = shared.seal, f"source/{intake.name}"
        self._topic, self._number = each.topic, number
        self._topic_id = shared.topics.get(each.topic, "")
        self._idle_after = each.idle_after
        self._idle = False
        self._heard = time.monotonic()
        self._behind = False
        self._closes = NOT_YET  # when live messages will be so far that a pane may close by them
        self._looked = 0.0
        self._complaint, self._seldom = Complaint(each.topic, number), Seldom()
        self._readable = Readable(each.topic, number, time.monotonic())
        self._consumer = consumer(self._kafka, shared.partitions, self._error)
        self._end_seen = NOT_YET  # when the broker last said that this is the end, since the last message
        self._end_asked = NOT_YET
        if resume is not None:
            progress = Progress.unpack(self._seal.open(self._place, resume))
            intake.resume(progress)
            self._offset = progress.offset if self._is_same(progress.topic) else self._first("earliest")
            self._topic_id = self._topic_id or progress.topic
        elif (first := shared.starts.first(each.topic, number)) is not None:
            self._offset = first
            log.info("a partition without a snapshot is read from here", topic=each.topic, partition=number, first=first)
        else:
            self._offset = self._first(self._kafka.start)
        shared.starts.note(each.topic, number, self._offset)
        self._read_on()

    def next_batch(self) -> list[Poll]:
        if STOP.asked:
            raise StopIteration
        HEALTH.beat()
        self._complaint.look(time.monotonic(), *self._intake.records)
        ahead = self._pace.ahead(self._intake.name, self._intake.watermark)
        METRICS.waits(self._topic, self._number, ahead)
        if ahead:  # which is no silence
            self._heard, self._behind, self._closes = time.monotonic(), False, NOT_YET
            self._readable.pauses(self._heard)
            return []
        most = min(self._kafka.poll_messages, self._intake.portion)
        got = self._consumer.consume(most, timeout=0)
        wrong = [message for message in got if message.error() is not None]
        good = [message for message in got if message.error() is None] if wrong else got
        offsets = [message.offset() or 0 for message in good]
        if good:
            self._offset, self._end_seen = offsets[-1] + 1, NOT_YET
            self._readable.said(time.monotonic())
        for message in wrong:
            self._trouble(message)
        self._behind = len(good) >= most // 2
        if not good:
            self._look_around()
            return self._silence()
        if not HEALTH.reachable:  # what comes now may have been fetched before the broker went away
            self._look_around()
        arrivals = np.fromiter((message.timestamp()[1] for message in good), np.int64, len(good))
        poll = self._intake.take([message.value() or b"" for message in good], arrivals, offsets)
        if poll.chunks:
            self._heard, self._idle = time.monotonic(), False
            self._closes = self._heard + self._intake.to_close / 1000
        self._show_lag()
        return [poll, *self._silence()]

    def next_awake(self) -> datetime | None:
        if self._behind:
            return None
        return datetime.now(UTC) + timedelta(seconds=nap(self._closes - time.monotonic()))

    def snapshot(self) -> bytes:
        try:  # for lag tools only, so a broker that is away is no reason to stop
            if HEALTH.reachable:
                self._consumer.commit(offsets=[TopicPartition(self._topic, self._number, self._offset)], asynchronous=True)
        except KafkaException as error:
            log.debug("offset not committed", topic=self._topic, partition=self._number, error=str(error))
        progress = self._intake.progress(self._offset)._replace(topic=self._topic_id)
        return self._seal.close(self._place, progress.pack())

    def close(self) -> None:
        METRICS.left(self._topic, self._number)
        HEALTH.unreadable(self._topic, self._number, None)
        CLOSING.close(self._consumer)

    def _silence(self) -> list[Poll]:
        """After `idle_after` at the partition's end nobody waits for it: the one path on which the clock decides what is said.

        A backlog, a broker that is away or a connection that stalls is no silence: others wait, or what comes then would come
        too late. So the broker must say once more, after that time, that this is the end; and while it is away nobody is idle,
        for when it is back others may be read before what came here.
        """
        now, due = time.monotonic(), self._heard + self._idle_after
        if not HEALTH.reachable:
            self._readable.pauses(now)
            if not self._idle:
                return []
            self._heard, self._idle = now, False
            return [self._intake.wait()]
        if self._readable.asks(now):
            self._read_on()
        if self._idle or now < due:
            return []
        if self._end_seen < due:
            if self._end_seen != NOT_YET and self._end_asked < due:
                self._end_asked = now
                self._read_on()  # the client says only once that it has reached an end
            return []
        self._idle = True
        return [self._intake.rest()]

    def _read_on(self) -> None:
        self._readable.asked(time.monotonic())
        self._consumer.assign([TopicPartition(self._topic, self._number, self._offset)])

    def _look_around(self) -> None:
        """Once a second, of silence or without a broker: how far the partition's end is, and whether the broker is back."""
        now = time.monotonic()
        if now - self._looked >= 1.0:
            self._looked = now
            self._show_lag()
        if not AWAY.asks((self._topic, self._number), now):
            return
        try:
            self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._number), timeout=0.2)
        except KafkaException:
            return
        AWAY.back()

    def _is_same(self, known: str) -> bool:
        """Whether the topic is the one that was read, by its id, as far as that is known."""
        same = not known or not self._topic_id or known == self._topic_id
        if not same:
            what = "the topic was made anew since the last snapshot: it is read from its beginning"
            log.error(what, topic=self._topic, partition=self._number)
        return same

    def _first(self, start: str) -> int:
        """Where one begins that nobody has read before. Raises BrokerError."""
        try:
            low, high = self._ends(FIRST_ASKED)
        except KafkaException as error:
            FAILURE.error = BrokerError(
                f"the Kafka broker does not say where {self._topic}, partition {self._number}, begins and ends "
                f"({error.args[0].str()}); see whether it is there, then start again"
            )
            raise FAILURE.error from None
        return low if start == "earliest" else high

    def _ends(self, timeout: float) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._number), timeout=timeout)
        return low, high

    def _trouble(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        now = time.monotonic()
        if error.code() == KafkaError._PARTITION_EOF:
            end = message.offset() or 0  # behind the last message, and behind the markers of transactions that follow it
            if end >= self._offset:  # an older one was overtaken by messages
                self._offset, self._end_seen = end, now
            self._readable.said(now)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._lose()
        else:
            self._readable.refused(error.str(), now)

    def _lose(self) -> None:
        """The wanted offset is not there: say which messages are gone, count them, go on where the partition begins."""
        try:
            low, high = self._ends(ASKED)
        except KafkaException as error:  # as while its leader changes
            self._say_again(error.args[0].str())
            return
        if low <= self._offset <= high:  # a leader that is new, or none any more, may not know yet how far it is
            self._say_again("the offset is there after all")
            return
        gone = range(self._offset, low) if self._offset < low else range(high, self._offset)
        METRICS.lost(self._topic, len(gone))
        log.error(
            "messages lost: retention deleted them before they were read"
            if self._offset < low
            else "messages lost: the partition ends before the offset that was read last; was the topic made anew?",
            topic=self._topic,
            partition=self._number,
            first=gone.start,
            last=gone.stop - 1,
        )
        self._offset = low
        self._read_on()

    def _say_again(self, why: str) -> None:
        """Ask once more for the same offset."""
        if self._seldom.due(time.monotonic()):
            log.warning("the broker had no such offset, asking again", topic=self._topic, partition=self._number, why=why)
        self._read_on()

    def _show_lag(self) -> None:
        _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._number), cached=True)
        if high >= self._offset:
            METRICS.lag(self._topic, self._number, high - self._offset)

    def _error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            AWAY.tell(error.str(), time.monotonic())
        elif error.code() in OF_A_TOPIC:
            self._readable.refused(error.str(), time.monotonic())
