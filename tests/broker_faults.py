"""What a broker and the network before it can do to a living worker, by kind; each ends healed. Writing is in tests.unwritable.

Brokers of the mock cluster have their parts, so that the traffic that is played is spared what is meant for the worker: outputs
are led by the first one, inputs by the others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaError

from dataflows.demo.page import Page
from dataflows.kafka_admin import output_names
from tests.history import CHAPTER, History, Outcome
from tests.living import LivingWorker, wait_for
from tests.mock_cluster import FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA, OFFSET_COMMIT, TRANSPORT, MockCluster
from tests.proxy import Proxy

PACE = 6.0  # s of traffic a second: 540 messages a second, and 20 s a chapter
OUT, IN = 1, (2, 3)  # brokers

FETCH_ERRORS = (
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    TRANSPORT,
)
OTHER_REQUESTS = (LIST_OFFSETS, METADATA, OFFSET_COMMIT, INIT_PRODUCER_ID)
OTHER_ERRORS = (KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR, KafkaError.REQUEST_TIMED_OUT, TRANSPORT)


@dataclass(frozen=True)
class Scene:
    """What a fault has to do with."""

    history: History
    worker: LivingWorker
    dice: random.Random
    say: Callable[[str], None]
    cluster: MockCluster | None = None
    proxy: Proxy | None = None

    def wait_until_ready(self) -> None:
        """It is healed: the worker is ready, and takes messages."""
        wait_for(self.worker.ready, "the worker is ready again")
        before = self.worker.page(lambda _: True, "a page").total("received_messages_total")
        self.worker.page(lambda page: page.total("received_messages_total") > before, "messages are read again")

    def wait_until_unready(self) -> None:
        wait_for(self.worker.problems, "the worker says that it is not ready")


def fetch_errors(scene: Scene, seconds: float) -> None:
    """One after the other, in a seeded order, three times each."""
    _fail_fetches(scene, *scene.dice.sample(FETCH_ERRORS, len(FETCH_ERRORS)))


def out_of_range(scene: Scene, seconds: float) -> None:
    """A new leader may not know for a moment how far it is: no reason to read everything again, and no loss."""
    _fail_fetches(scene, KafkaError.OFFSET_OUT_OF_RANGE)


def _fail_fetches(scene: Scene, *errors: int) -> None:
    cluster = scene.cluster
    assert cluster is not None

    def met() -> bool:
        scene.worker.check()
        return not any(cluster.unmet(broker, FETCH) for broker in IN)

    for error in errors:
        scene.say(KafkaError(error).name())
        for broker in IN:
            cluster.fail(broker, FETCH, *[error] * 3)
        wait_for(met, f"the worker meets {KafkaError(error).name()}")


def other_errors(scene: Scene, seconds: float) -> None:
    """Of requests that are rare, each while new leaders are to be found."""
    assert scene.cluster is not None
    for request in OTHER_REQUESTS:
        with scene.cluster.failing(request, scene.dice.choice(OTHER_ERRORS)):
            leader_moves(scene, seconds / len(OTHER_REQUESTS))
        wait_for(scene.worker.ready, "the worker is ready again")


def leader_moves(scene: Scene, seconds: float) -> None:
    """Some partition, of an input or an output, gets another leader, several times a second."""
    assert scene.cluster is not None
    names = [(name, number) for name, count in scene.history.partitions().items() for number in range(count)]
    names += [(name, 0) for name in output_names(scene.history.settings)]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        topic, number = scene.dice.choice(names)
        scene.cluster.lead(topic, number, scene.dice.choice(scene.cluster.brokers))
        time.sleep(scene.dice.uniform(0, 0.5))


def one_down(scene: Scene, seconds: float) -> None:
    assert scene.cluster is not None
    broker = scene.dice.choice(scene.cluster.brokers)
    scene.cluster.down(broker)
    time.sleep(seconds)
    scene.cluster.up(broker)


def all_down(scene: Scene, seconds: float) -> None:
    assert scene.cluster is not None
    scene.cluster.down()
    scene.wait_until_unready()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert not scene.worker.ready(), "it says that it is ready while there is no broker"
        time.sleep(0.2)
    scene.cluster.up()
    said = " ".join(scene.history.troubles("warning"))  # by the end of the flow that met it first
    assert "broker is away" in said or "waiting for the broker" in said, "the log says nothing of the broker"


def slow_replies(scene: Scene, seconds: float) -> None:
    assert scene.cluster is not None
    scene.cluster.slow(scene.dice.randint(300, 1500))
    time.sleep(seconds)
    scene.cluster.slow(0)


def resets(scene: Scene, seconds: float) -> None:
    assert scene.proxy is not None
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scene.proxy.reset()
        time.sleep(scene.dice.expovariate(1.0))


def stalls(scene: Scene, seconds: float) -> None:
    """Short ones, and one that the worker must notice: a request unanswered for ten seconds."""
    assert scene.proxy is not None
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scene.proxy.stall()
        time.sleep(scene.dice.uniform(0.2, 2.0))
        scene.proxy.flow()
        time.sleep(scene.dice.uniform(0.2, 1.0))
    scene.proxy.stall()
    scene.wait_until_unready()
    scene.proxy.flow()


def half_open(scene: Scene, seconds: float) -> None:
    """The worker's connections die without a word; that it finds out by itself is all that is wanted."""
    assert scene.proxy is not None
    assert scene.proxy.half_open() > 0


Fault = Callable[[Scene, float], None]
BY_BROKER: dict[str, Fault] = {
    "fetch errors": fetch_errors,
    "offset out of range": out_of_range,
    "other errors": other_errors,
    "leader moves": leader_moves,
    "one broker down": one_down,
    "all brokers down": all_down,
    "slow replies": slow_replies,
}
BY_NETWORK: dict[str, Fault] = {"resets": resets, "stalls": stalls, "half open": half_open}


def suffer_broker(folder: Path, name: str, seed: int, seconds: float, say: Callable[[str], None] = print) -> Outcome:
    with MockCluster() as cluster:
        history = History(folder, cluster.bootstrap, seed, _chapters(seconds))
        dice = random.Random(seed)
        for topic, count in history.partitions().items():
            cluster.topic(topic, count)
            for number in range(count):
                cluster.lead(topic, number, dice.choice(IN))
        for topic in output_names(history.settings):
            cluster.topic(topic, 1)
            cluster.lead(topic, 0, OUT)
        with _suffering(history, history.worker()) as worker:
            scene = Scene(history, worker, dice, say, cluster=cluster)
            BY_BROKER[name](scene, seconds)
            scene.wait_until_ready()
        return history.end()


def suffer_network(
    folder: Path, broker: str, name: str, seed: int, seconds: float, say: Callable[[str], None] = print
) -> Outcome:
    history = History(folder, broker, seed, _chapters(seconds))
    history.make_topics()
    with Proxy(broker) as proxy, _suffering(history, LivingWorker(history.config(broker=proxy.address), history.log)) as worker:
        scene = Scene(history, worker, random.Random(seed), say, proxy=proxy)
        BY_NETWORK[name](scene, seconds)
        scene.wait_until_ready()
    return history.end()


@contextmanager
def _suffering(history: History, worker: LivingWorker) -> Iterator[LivingWorker]:
    """The worker lives and gets traffic while the block lasts; it must come through, and have told the truth."""
    with worker, history.playing(PACE):
        worker.page(lambda page: page.total("delivered_messages_total") > 0, "it has begun to deliver")
        yield worker
        _check(worker.page(lambda _: True, "a page"))
        assert worker.stop() == 0
    assert not history.troubles("error", "critical"), history.troubles("error", "critical")


def _check(page: Page) -> None:
    assert page.total("delivery_failures_total") == 0
    assert page.total("lost_messages_total") == 0
    assert page.total("late_at_shard_records_total") == 0
    parts = [page.total(f"{part}_records_total") for part in ("accepted", "late", "refused")]
    assert page.total("received_records_total") == sum(parts) > 0


def _chapters(seconds: float) -> int:
    """Of traffic: up to six, for the mock cluster keeps no more."""
    return min(6, 1 + int(seconds * PACE / CHAPTER))
