"""Output topics that take nothing for a while: the worker stands still, says so, keeps its memory, and then goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from confluent_kafka import KafkaError

from dataflows.demo.page import Page, get
from dataflows.kafka_admin import output_names
from dataflows.store_check import Progress, connections
from tests.history import History, Outcome
from tests.living import PATIENCE, LivingWorker, wait_for
from tests.mock_cluster import FETCH, PRODUCE, TRANSPORT, MockCluster

RETRIABLE = (  # what librdkafka tries again; what it gives up on ends the worker
    KafkaError.INVALID_MSG,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.KAFKA_STORAGE_ERROR,
    TRANSPORT,
)
OUT, IN = 1, 2  # brokers that lead the outputs and the inputs
SIP = 25  # messages a poll, so that what lies there lasts
MOST = 6  # chapters of traffic: more the mock cluster does not keep
LOOK = 0.2  # s
STANDS = "The flow stands still"
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Standstill:
    outcome: Outcome
    taken: float  # messages read while nothing could be written, after it was noticed
    waiting: float  # messages that lay there unread
    before: float  # MiB of resident memory
    most: float  # MiB at most during the standstill


def stand_still(
    folder: Path,
    seed: int,
    seconds: float,
    errors: Sequence[int] = (KafkaError.NOT_ENOUGH_REPLICAS,),
    say: Callable[[str], None] = print,
) -> Standstill:
    """Every produce request fails for `seconds`, with one error after the other, while the inputs hold more than is read."""
    with MockCluster() as cluster:
        history = laid_out(folder, cluster, seed, min(MOST, 1 + len(errors)))
        history.play_part(0, 1)
        spells = []
        with LivingWorker(history.config(), history.log, f"--set=kafka.poll_messages={SIP}") as worker:
            start = worker.page(lambda page: page.total("delivered_messages_total") > 0, "it has begun to deliver")
            for error in random.Random(seed).sample(errors, len(errors)):
                say(KafkaError(error).name())
                with cluster.failing(PRODUCE, error):
                    wait_for(lambda: STANDS in worker.problems(), f"it says that it stands still, again with seed {seed}")
                    spells.append(_watch(worker, seconds))
                wait_for(worker.ready, f"it goes on, again with seed {seed}")
            assert worker.stop() == 0
        assert any("waiting for the broker" in said for said in history.troubles("warning")), "the log says nothing of it"
        assert not history.troubles("error", "critical")
        taken, memory, read = zip(*spells, strict=True)
        return Standstill(history.end(), sum(taken), history.played - read[-1], _memory(start), max(memory))


def _watch(worker: LivingWorker, seconds: float) -> tuple[float, float, float]:
    """While nothing can be written: messages that are read all the same, MiB at most, messages that were read before."""
    first = last = worker.page(lambda _: True, "a page")
    most, until = _memory(first), time.monotonic() + seconds
    while time.monotonic() < until:
        last = worker.page(lambda _: True, "a page")
        most = max(most, _memory(last))
        assert STANDS in worker.problems(), "it does not say that it stands still while nothing can be written"
        assert get(f"{worker.url}/livez") is not None, "it asks to be restarted, which would not help"
        time.sleep(LOOK)
    assert last.total("delivery_failures_total") == 0
    before, after = (page.total("received_messages_total") for page in (first, last))
    return after - before, most, before


def refuse(folder: Path, seed: int, error: int = KafkaError.TOPIC_AUTHORIZATION_FAILED) -> Outcome:
    """A record is refused for good, at a seeded moment: the worker ends with one sentence, and the next one loses nothing."""
    with MockCluster() as cluster:
        history, dice = laid_out(folder, cluster, seed, 2), random.Random(seed)
        with history.worker() as worker, history.playing(20.0):
            until = dice.randint(1, 100)
            worker.page(lambda page: page.total("delivered_messages_total") > until, "it has begun to deliver")
            cluster.fail(OUT, PRODUCE, error)
            assert worker.child.wait(PATIENCE) == 1, f"again with seed {seed}"
        said = history.log.read_text().splitlines()[-1]
        assert said.startswith("roadwatch: topic road."), said
        assert said.endswith("check the topic's settings and rights, then start again: nothing is lost"), said
        return history.end()


def stop(folder: Path, seed: int) -> tuple[Outcome, float]:
    """The worker is asked to end while nothing can be written: it does, with one sentence. Also says its seconds."""
    with MockCluster() as cluster:
        history = laid_out(folder, cluster, seed, 2)
        history.play_part(0, 1)
        with LivingWorker(history.config(), history.log, f"--set=kafka.poll_messages={SIP}") as worker:
            worker.page(lambda page: page.total("delivered_messages_total") > 0, "it has begun to deliver")
            with cluster.failing(PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS):
                wait_for(lambda: STANDS in worker.problems(), f"it says that it stands still, again with seed {seed}")
                taken, _, _ = _watch(worker, 1.0)
                assert taken == 0, f"it reads on, again with seed {seed}"
                asked = time.monotonic()
                assert worker.stop() == 1, f"again with seed {seed}"
                took = time.monotonic() - asked
        said = history.log.read_text().splitlines()[-1]
        assert said.endswith("before the end: nothing is lost, the next start sends them"), said
        return history.end(), took


def kill_between(folder: Path, seed: int) -> Outcome:
    """One worker is killed while its snapshot waits for the broker, and the next one after snapshots in which nothing came.

    The first leaves rows of an epoch that was never completed, and the second never writes over those of what is not fed.
    """
    with MockCluster() as cluster:
        history = laid_out(folder, cluster, seed, 1)
        history.play_part(0, 1)
        with LivingWorker(history.config(), history.log) as worker:
            worker.page(lambda page: page.total("delivered_messages_total") > 0, "it has begun to deliver")
            with cluster.failing(PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS):
                wait_for(lambda: STANDS in worker.problems(), f"it says that it stands still, again with seed {seed}")
                worker.stop(SIGKILL)
        store = history.settings.recovery.directory
        began = resume_epoch(store)
        with cluster.failing(FETCH, KafkaError.LEADER_NOT_AVAILABLE), history.worker() as worker:
            wait_for(lambda: resume_epoch(store) > began + 1, f"it completes epochs, again with seed {seed}")
            worker.stop(SIGKILL)
        return history.end()


def resume_epoch(store: Path) -> int:
    """The epoch at which the next worker goes on."""
    with connections(store) as files:
        return Progress.of(files).resumes


def laid_out(folder: Path, cluster: MockCluster, seed: int, chapters: int) -> History:
    """One whose outputs are led by the first broker and whose inputs by the second."""
    history = History(folder, cluster.bootstrap, seed, chapters)
    for topic, count in history.partitions().items():
        cluster.topic(topic, count, IN)
    for topic in output_names(history.settings):
        cluster.topic(topic, 1, OUT)
    return history


def _memory(page: Page) -> float:
    return page.total("process_resident_memory_bytes") / MEBIBYTE
