"""A recovery store keeps to the Kafka cluster in whose topics it stands."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, Uuid
from confluent_kafka.admin import AdminClient

from dataflows.kafka import ends
from dataflows.kafka_admin import _Admin, connect, create_missing
from dataflows.kafka_cluster import NOTE, keep_to
from dataflows.settings import Kafka
from dataflows.settings_reader import load
from dataflows.store import RecoveryError
from tests import worker_settings
from tests.living import broker_or_skip


def test_the_first_start_decides_and_others_are_refused(tmp_path: Path) -> None:
    keep_to("one", "a:9092", tmp_path)
    keep_to("one", "b:9092", tmp_path)  # another of its brokers
    with pytest.raises(RecoveryError, match="cluster one, and the broker at c:9092 belongs to two; name another") as caught:
        keep_to("two", "c:9092", tmp_path)
    assert str(tmp_path / NOTE) in str(caught.value)
    keep_to("one", "a:9092", tmp_path)  # the refused one was not remembered
    (tmp_path / NOTE).unlink()  # as the sentence says, where topics came over with their offsets
    keep_to("two", "c:9092", tmp_path)


def test_a_broker_that_does_not_say_is_believed(tmp_path: Path) -> None:
    keep_to("", "a:9092", tmp_path)
    assert not list(tmp_path.iterdir())
    keep_to("one", "a:9092", tmp_path)
    keep_to("", "a:9092", tmp_path)
    assert (tmp_path / NOTE).read_text() == "one"


def test_an_empty_note_is_none(tmp_path: Path) -> None:
    """What a power cut leaves of one that was just written."""
    (tmp_path / NOTE).touch()
    keep_to("one", "a:9092", tmp_path)
    assert (tmp_path / NOTE).read_text() == "one"


def test_a_note_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_bytes(b"\xff")
    with pytest.raises(RecoveryError, match=f"cannot use the recovery store in .*{NOTE}.*; check the disk"):
        keep_to("one", "a:9092", tmp_path)


def test_a_graph_without_a_store_leaves_none_behind(tmp_path: Path) -> None:
    """As under `python -m bytewax.run`: what it left was no store, and `roadwatch run` refused it afterwards."""
    with broker_or_skip() as broker:
        settings = load(worker_settings.write(tmp_path / "roadwatch.toml", broker))
        create_missing(settings, 1, 1)
        ends(settings)
    assert not settings.recovery.directory.exists()


def test_what_a_broker_does_not_say_of_one_topic_hides_nothing_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old one says nothing, which looks like an id of noughts."""

    def told(said: Uuid | None) -> Future[SimpleNamespace]:
        future = Future[SimpleNamespace]()
        if said is None:
            future.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
        else:
            future.set_result(SimpleNamespace(topic_id=said))
        return future

    said = {"a": None, "b": Uuid(1, 2), "old": Uuid(0, 0)}
    answers = {name: told(each) for name, each in said.items()}
    admin = _Admin(Kafka())
    monkeypatch.setattr(admin, "client", SimpleNamespace(describe_topics=lambda *_, **__: answers))
    assert admin.ids(said) == {"b": str(Uuid(1, 2)), "old": ""}


def test_a_topic_that_was_made_anew_has_another_id(tmp_path: Path) -> None:
    with broker_or_skip() as address:
        settings = load(worker_settings.write(tmp_path / "roadwatch.toml", address))
        create_missing(settings, 1, 1)
        admin, (name, *_) = AdminClient({"bootstrap.servers": address}), (each.topic for each in settings.inputs.topics)
        first, again = connect(settings).topics, connect(settings).topics
        assert first == again
        assert len(set(first.values())) == len(first) == len(settings.inputs.topics)
        admin.delete_topics([name])[name].result(30)
        create_missing(settings, 1, 1)
        anew = connect(settings).topics
        assert {topic for topic in first if anew[topic] != first[topic]} == {name}
