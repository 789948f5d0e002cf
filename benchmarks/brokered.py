"""The worker's graph on a real topic, and the least that anybody can do with it: consume and decode."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
from bytewax.run import cli_main
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from benchmarks.load import Measure
from dataflows import broker
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.formats.observation import Observation
from dataflows.incidents import flow
from dataflows.kafka_admin import create_missing
from dataflows.metrics import METRICS
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.stop import STOP

TOPIC = "v2x.observations"
CONTEXT = Context(Pseudonym(b"key"))
READ = msgspec.json.Decoder(Observation).decode
INPUTS = {"topics": [{"topic": TOPIC, "format": "observation"}]}


@contextmanager
def filled(messages: list[bytes]) -> Iterator[dict[str, dict[str, object]]]:
    """A broker with the messages on a topic of one partition; gives the settings to read them."""
    with broker.embedded_broker() as address, tempfile.TemporaryDirectory() as folder:
        flags: dict[str, dict[str, object]] = {
            "kafka": {"bootstrap_servers": address},
            "inputs": INPUTS,
            "recovery": {"directory": f"{folder}/recovery"},
        }
        create_missing(load(None, flags), partitions=1, replication=1)
        producer = Producer({"bootstrap.servers": address, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
        for message in messages:
            while True:
                try:
                    producer.produce(TOPIC, message, timestamp=json.loads(message)["rx"])
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush()
        yield flags


def _by_columns(messages: list[Message]) -> None:
    arrivals = np.fromiter((message.timestamp()[1] for message in messages), np.int64, len(messages))
    FORMATS["observation"].decode([message.value() or b"" for message in messages], arrivals, CONTEXT)


def _by_message(messages: list[Message]) -> None:
    [READ(message.value() or b"") for message in messages]


@dataclass(frozen=True)
class Bare:
    """consume() and decode, and nothing else."""

    decode: Callable[[list[Message]], None]

    def __call__(self, messages: list[bytes], settings: Settings) -> Measure:
        consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": "bare",
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 5,  # by default a full queue stops the fetching for a second
            }
        )
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        left, started, spent = len(messages), 0.0, 0.0
        while left > 0:
            # No more than are left: consume() would wait for the rest of a full batch, a second at the end of every run.
            got = consumer.consume(min(left, settings.kafka.poll_messages), timeout=1.0)
            if not started:
                started, spent = time.perf_counter(), time.process_time()
            self.decode(got)
            left -= len(got)
        return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - spent}


BARE = {"consume and decode only (the floor)": Bare(_by_columns), "the same, one msgspec object a message": Bare(_by_message)}


def worker(messages: list[bytes], settings: Settings) -> Measure:
    """The graph as the worker runs it, from the first poll that brings something to the last."""
    span, spent = [0.0, 0.0], [0.0, 0.0]

    def follow() -> None:
        while (done := METRICS.value("received_messages_total", topic=TOPIC)) < len(messages):
            if done and not span[0]:
                span[0], spent[0] = time.perf_counter(), time.process_time()
            time.sleep(0.002)
        span[1], spent[1] = time.perf_counter(), time.process_time()
        STOP.asked = True

    threading.Thread(target=follow, daemon=True).start()
    cli_main(flow(settings, kept=False))
    return {"seconds": span[1] - span[0], "cpu": spent[1] - spent[0]}
