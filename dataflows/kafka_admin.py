"""Knowing the broker: how to reach it, whether the topics are there, and making those that are not."""

from __future__ import annotations

import difflib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from dataflows.kafka_refusal import sentence
from dataflows.secret_files import secret
from dataflows.settings import Kafka, Settings
from dataflows.told import ToldError

_QUIET = logging.getLogger("librdkafka")  # it repeats each failed attempt; what matters of it comes through error_cb
_QUIET.setLevel(logging.CRITICAL)

log = structlog.get_logger(__name__)

NO_ID = str(Uuid(0, 0))  # what the topics of an old broker seem to have
LONGEST = 2_000_000.0  # s: the client counts in ms, in 32 bits, and takes more for none
SOON = 2.0  # s after which somebody at a start wants to hear whom it waits for: one that is there answers in 0.1 s
MISSPELT = 0.8  # of the letters that two names share: so near, and one is probably the other
SILENT = 10_000  # ms: a request unanswered for so long means a dead connection; the client's own 60 s make alerts a minute late
RECONNECT = 5000  # ms at most between attempts, up to half more by chance: who is back is seen within 10 s
TO_MAKE = "make it: roadwatch topics, with the same --config and --set as here"  # or it would make those of other settings
KEPT = 7 * 24 * 3600 * 1000  # ms: alerts, cells and dead letters stay a week


class BrokerError(ToldError):
    """One sentence: what the broker does not do or have, and what to do."""


class Cluster(NamedTuple):
    """What a broker says of the cluster that it belongs to."""

    id: str  # empty where it does not say
    partitions: dict[str, int]  # how many, by topic
    topics: dict[str, str]  # the ids of those that are read; without those that it does not say


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    compacted: bool = False


def client(kafka: Kafka) -> dict[str, Any]:
    """The settings that every client of librdkafka shares. Raises SettingsError."""
    given = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "ssl.ca.location": kafka.ssl_ca_location and str(kafka.ssl_ca_location.absolute()),
        "ssl.certificate.location": kafka.ssl_certificate_location and str(kafka.ssl_certificate_location.absolute()),
        "ssl.key.location": kafka.ssl_key_location and str(kafka.ssl_key_location.absolute()),
        "ssl.key.password": secret(kafka.ssl_key_password, kafka.ssl_key_password_file, "kafka.ssl_key_password_file"),
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": secret(kafka.sasl_password, kafka.sasl_password_file, "kafka.sasl_password_file"),
        "reconnect.backoff.max.ms": RECONNECT,
        "logger": _QUIET,
    }
    return {name: value for name, value in given.items() if value is not None}


def connect(settings: Settings) -> Cluster:
    """The cluster with its input topics. Raises BrokerError if the broker, a topic or a partition is missing."""
    admin = _Admin(settings.kafka)
    cluster = admin.at_start()
    there = cluster.partitions
    wanted = [each.topic for each in settings.inputs.topics] + output_names(settings)
    missing = [name for name in wanted if name not in there]
    if missing:
        others = [name for name in there if name not in wanted]
        near = [found for name in missing for found in difflib.get_close_matches(name, others, n=1, cutoff=MISSPELT)]
        meant, where = f"did you mean {', '.join(near)}? If not, " if near else "", settings.kafka.bootstrap_servers
        raise BrokerError(f"the broker at {where} has no topic {', '.join(missing)}; {meant}{TO_MAKE}")
    for number, each in enumerate(settings.inputs.topics):
        absent = [partition for partition in each.partitions if partition >= there[each.topic]]
        if absent:
            raise BrokerError(
                f"{each.topic} has {there[each.topic]} partitions, counted from 0, so no {', '.join(map(str, absent))}: "
                f"correct inputs.topics[{number}].partitions, or add partitions"
            )
    read = {each.topic: there[each.topic] for each in settings.inputs.topics}
    return Cluster(cluster.id, read, admin.ids(read))


def create_missing(settings: Settings, partitions: int, replication: int) -> list[str]:
    """Make the topics that are not there yet; returns their names. Raises BrokerError."""
    admin = _Admin(settings.kafka)
    there = admin.at_start().partitions
    wanted = [Topic(each.topic, partitions) for each in settings.inputs.topics]
    wanted += [Topic(name, 1, name == settings.outputs.incidents) for name in output_names(settings)]
    missing = [topic for topic in wanted if topic.name not in there]
    if not missing:  # the client refuses an empty list
        return []
    made = admin.client.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                replication,
                config=({"cleanup.policy": "compact"} if topic.compacted else {"retention.ms": str(KEPT)})
                | ({"min.insync.replicas": "2"} if replication > 2 else {}),  # or what is acknowledged may be on one disk
            )
            for topic in missing
        ]
    )
    for name, future in made.items():
        try:
            future.result(settings.kafka.connect_timeout)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(
                    f"topic {name} could not be made: {error.args[0].str()}; check rights and replication"
                ) from None
        except TimeoutError:
            raise BrokerError(
                f"the broker did not say within {settings.kafka.connect_timeout:g} s whether it made topic {name}; "
                "see whether it has a controller, then run roadwatch topics again"
            ) from None
    return [topic.name for topic in missing]


def output_names(settings: Settings) -> list[str]:
    outputs = settings.outputs
    return [outputs.alerts, outputs.incidents, outputs.cells, outputs.dead_letters]


def counter(settings: Settings) -> Callable[[], dict[str, int]]:
    """Asks for the number of partitions of each topic again and again over one connection; raises BrokerError."""
    admin = _Admin(settings.kafka)
    return admin.topics


def topics(settings: Settings) -> dict[str, int]:
    """Number of partitions of each topic that is there. Raises BrokerError."""
    return _Admin(settings.kafka).at_start().partitions


class _Admin:
    """A connection that can say why it is none. Raises BrokerError."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._errors: deque[KafkaError] = deque(maxlen=100)  # it repeats each several times a second
        for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
            path = getattr(kafka, name)
            if path is not None and not os.access(path, os.R_OK):
                raise BrokerError(
                    f"cannot read kafka.{name} {path.absolute()}; name a file that is there and that this user may read"
                )
        try:
            self.client = AdminClient(client(kafka) | {"error_cb": self._errors.append})
        except KafkaException as error:
            raise BrokerError(f"these kafka settings do not work: {error.args[0].str()}; check the files they name") from None

    def at_start(self) -> Cluster:
        """Wait for the broker as long as the settings say; the log says soon why, for whoever has to see to it."""
        patience = min(self._kafka.connect_timeout, LONGEST)
        if patience > SOON:
            patience -= SOON
            try:
                return self._cluster(SOON)
            except BrokerError as error:
                log.warning(f"{error}; it is waited for another {patience:g} s")
        return self._cluster(patience)

    def topics(self) -> dict[str, int]:
        return self._cluster(min(self._kafka.connect_timeout, LONGEST)).partitions

    def _cluster(self, patience: float) -> Cluster:
        try:
            known = self.client.list_topics(timeout=patience)
        except KafkaException as error:
            self.client.poll(0)  # what it told in the meantime
            told = [(each.name(), each.str()) for each in self._errors]
            raise BrokerError(sentence(self._kafka, error.args[0].str(), told)) from None
        return Cluster(
            known.cluster_id or "", {name: len(topic.partitions) for name, topic in known.topics.items() if not topic.error}, {}
        )

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Kafka's ids of topics. A broker that is old, or does not let them be described, says none."""
        found = dict[str, str]()
        with suppress(KafkaException):  # of one that cannot ask at all
            for name, future in self.client.describe_topics(TopicCollection(list(topics)), request_timeout=SOON).items():
                with suppress(KafkaException, TimeoutError):
                    found[name] = str(future.result(SOON).topic_id or "").replace(NO_ID, "")
        return found
