"""Who is compared in peers_brokered: versions, the settings that each was given, and what it does less than roadwatch."""

from __future__ import annotations

import sys
from dataclasses import dataclass

TYPED = ("h3==4.5.0", "msgspec==0.22.0")  # every peer in Python decodes with them, the quickest there is


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    script: str
    settings: str
    lacks: str
    pins: tuple[str, ...] = ()  # none: roadwatch's own environment has all that it needs
    jar: str = ""  # what Maven is asked for
    most: int = sys.maxsize  # messages; a slow peer gets the first of them


NO_ENGINE = "windows are lost at a restart, no second process; "
NO_DETECTORS = "no detectors, no alerts"
FAUST = ("faust-streaming==0.15.3", "aiokafka==0.14.0", *TYPED)
PEERS = [
    Peer(
        "a loop by hand: confluent-kafka, msgspec, a dict",
        "by_hand",
        "consume(5000), fetch.wait.max.ms 20, fetch.queue.backoff.ms 5, "
        "assign instead of a group, typed decoding of five fields",
        NO_ENGINE + NO_DETECTORS,
    ),
    Peer(
        "stock Bytewax 0.21.1, KafkaSource and fold_window",
        "on_bytewax",
        "batch_size 5000, fetching as in the loop by hand, "
        "decoding and cells a batch at a time, a clock that stands still, no recovery store",
        "the same input does not give the same windows under the real clock; " + NO_DETECTORS,
    ),
    Peer(
        "PyFlink 2.3.0, SQL with a Python function for the cell",
        "on_flink",
        "thread mode, parallelism 2, object reuse, JSON and windows in Java, no checkpoints; "
        "the warming of the JVM is in the time",
        "a quarter of a minute to a minute until the first message; " + NO_DETECTORS,
        ("apache-flink==2.3.0", "h3==4.5.0"),
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
    ),
    Peer(
        "Quix Streams 3.28.1, group_by and tumbling_window",
        "on_quix",
        "fetching as in the loop by hand, "
        "no changelog topics, closing by partition, a commit each 30 s, typed decoding, state in RocksDB",
        "windows close only when a later message comes, so the last 15 s stay open; " + NO_DETECTORS,
        ("quixstreams==3.28.1", "confluent-kafka==2.12.2", *TYPED),
    ),
    Peer(
        "Faust 0.15.3 (faust-streaming), take() and a dict",
        "on_faust_take",
        "take(5000), no acknowledging of single messages, buffer of 20,000; Faust only consumes, the windows are by hand",
        NO_ENGINE + NO_DETECTORS,
        FAUST,
        most=40_000,
    ),
    Peer(
        "Faust 0.15.3 (faust-streaming), a windowed table",
        "on_faust",
        "store in memory, buffer of 20,000, producer_acks 1, linger 50 ms; every update is a record of the changelog topic",
        "windows expire by the system's clock, so in a replay they are kept for ever; " + NO_DETECTORS,
        FAUST,
        most=40_000,
    ),
]
