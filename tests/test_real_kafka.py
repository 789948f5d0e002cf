"""What only a real Apache Kafka can show: it is killed under load, its retention overtakes us, its topics get partitions."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewPartitions

from dataflows.cluster import START_AGAIN
from tests.broker_history import History, count
from tests.certificates import authority, signed
from tests.living import PATIENCE, LivingWorker, roadwatch, wait_for
from tests.real_kafka import QUIET, RealKafka, real_kafka, wanted
from tests.test_broker_end_to_end import LATER, ROOT, send

if wanted() is None:
    pytest.skip("needs Apache Kafka: make kafka", allow_module_level=True)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[RealKafka]:
    with real_kafka(tmp_path) as kafka:
        yield kafka


def test_a_broker_that_is_killed_under_load_costs_nothing(kafka: RealKafka, tmp_path: Path) -> None:
    """Twice: once while the worker reads what it has, once while more comes in. The producer repeats, without doubling."""
    history = History(tmp_path, kafka.address, "poll_messages = 500", idle=20.0)  # s: longer than the broker takes to come back
    history.topics()
    send(history.settings, history.part(0, 0.4))
    producer = Producer(QUIET | {"bootstrap.servers": kafka.address, "enable.idempotence": True})
    with LivingWorker(history.config, history.log) as worker:
        worker.page(lambda page: page.total("received_messages_total") > 0, "the worker reads")
        kafka.kill()
        kafka.start()
        for (topic, partition), messages in history.part(0.4, 1).items():
            for message in messages:
                arrival = json.loads(message)["rx"] if topic == "v2x" else LATER
                producer.produce(topic, message, b"", partition, timestamp=arrival)
        few = count(history.part(0, 0.4))
        worker.page(lambda page: page.total("received_messages_total") > few, "more comes in")
        kafka.kill()
        kafka.start()
        assert producer.flush(PATIENCE) == 0
        page = worker.page(history.over, "everything is read")
        assert worker.stop(signal.SIGTERM) == 0
    assert page.total("received_messages_total") == count(history.sent)
    assert page.total("lost_messages_total") == page.total("late_at_shard_records_total") == 0
    replayed = history.replayed()
    assert sorted(set(history.alerts(len(replayed)))) == replayed
    assert not history.lines("error")


def test_what_retention_took_is_named_and_counted_and_the_rest_is_judged(kafka: RealKafka, tmp_path: Path) -> None:
    history = History(tmp_path, kafka.address)
    history.topics()
    first = history.part(0, 0.5)
    send(history.settings, first)
    with LivingWorker(history.config, history.log) as worker:
        worker.page(lambda page: page.total("received_messages_total") == count(first), "the first half is read")
        assert worker.stop(signal.SIGTERM) == 0
    send(history.settings, history.part(0.5, 1))
    where = TopicPartition("v2x", 1, len(first["v2x", 1]) + 1000)
    admin = kafka.admin()
    for done in admin.delete_records([where]).values():
        done.result(PATIENCE)
    with LivingWorker(history.config, history.log) as worker:
        page = worker.page(history.over, "everything is read")
        assert worker.stop(signal.SIGTERM) == 0

    (said,) = history.lines("error")
    assert said["message"] == "messages lost: retention deleted them before they were read"
    assert (said["topic"], said["partition"]) == ("v2x", 1)
    assert (said["first"], said["last"]) == (len(first["v2x", 1]), where.offset - 1)
    assert page.total("lost_messages_total", topic="v2x") == page.total("lost_messages_total") == 1000
    assert page.total("received_messages_total") == count(history.part(0.5, 1)) - 1000

    path = tmp_path / "v1.jsonl"  # what is left, as files
    path.write_bytes(b"".join(m + b"\n" for m in (*first["v2x", 1], *history.sent["v2x", 1][where.offset :])))
    replayed = history.replayed()
    assert sorted(set(history.alerts(len(replayed)))) == replayed


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_partitions_that_are_added_are_noticed_and_read_from_their_beginning(
    kafka: RealKafka, tmp_path: Path, start: str
) -> None:
    history = History(tmp_path, kafka.address, f'start = "{start}"\npartitions_interval = 0.5')
    history.topics(without=1)
    new = {("v2x", 2): history.sent.pop(("v2x", 2))}
    halves = history.part(0, 0.5), history.part(0.5, 1)
    with LivingWorker(history.config, history.log) as worker:
        begun = tmp_path / "recovery" / "starts"
        wait_for(lambda: len(list(begun.glob("*.[0-9]"))) == len(halves[0]), "all partitions are read from their start")
        send(history.settings, halves[0])
        worker.page(lambda page: page.total("received_messages_total") == count(halves[0]), "the first half is read")
        admin = kafka.admin()
        for done in admin.create_partitions([NewPartitions("v2x", 3)]).values():
            done.result(PATIENCE)
        send(history.settings, new)
        assert worker.child.wait(PATIENCE) == START_AGAIN
    log = history.log.read_text()
    assert log.splitlines()[-1] == (
        "roadwatch: partitions that were added are not read yet (v2x/2): the worker ends in order, "
        "and its next start reads them from their beginning"
    )
    history.log.unlink()
    send(history.settings, halves[1])
    history.sent |= new
    with LivingWorker(history.config, history.log) as worker:
        page = worker.page(history.over, "everything is read")
        assert worker.stop(signal.SIGTERM) == 0
    assert page.total("received_messages_total") == count(halves[1]) + count(new)
    assert page.total("lost_messages_total") == 0
    (said,) = [line for line in history.lines("info") if "without a snapshot" in line["message"]]
    assert (said["topic"], said["partition"], said["first"]) == ("v2x", 2, 0)


SECRET = "the-planted-secret"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A broker with a listener for TLS that wants certificates, and one for TLS with logins."""
    folder = tmp_path_factory.mktemp("secured")
    ours = authority(folder)
    signed(ours, "client")
    listeners = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(signed(ours, "broker").both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ours.certificate),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required user_roadwatch="{SECRET}";'
        ),
    }
    scram = f"SCRAM-SHA-512=[name=roadwatch,password={SECRET}]"
    with real_kafka(folder, ("SSL", "SASL_SSL"), listeners, scram) as kafka:
        yield kafka


def login(kafka: RealKafka, folder: Path, password: str, mechanism: str) -> str:
    """The settings' section for a login, with the password in a file."""
    file = folder / "password"
    file.write_text(password + "\n")
    file.chmod(0o600)
    return (
        f'security_protocol = "sasl_ssl"\nssl_ca_location = "{kafka.folder / "authority.pem"}"\n'
        f'sasl_mechanism = "{mechanism}"\nsasl_username = "roadwatch"\nsasl_password_file = "{file}"'
    )


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_worker_logs_in_over_tls(secured: RealKafka, tmp_path: Path, mechanism: str) -> None:
    address = f"127.0.0.1:{secured.ports['SASL_SSL']}"
    history = History(tmp_path, address, login(secured, tmp_path, SECRET, mechanism), seconds=120)
    history.topics()
    ended = run("watch", history.config, f"--set=outputs.incidents=nowhere-{mechanism}")
    assert "has no topic nowhere" in ended.stderr  # so it got in
    if mechanism == "PLAIN":  # the topics hold what the first one sent
        return
    send(history.settings, history.sent)
    with LivingWorker(history.config, history.log) as worker:
        worker.page(history.over, "everything is read")
        assert worker.stop(signal.SIGTERM) == 0
    replayed = history.replayed()
    assert replayed
    assert history.alerts(len(replayed)) == replayed
    assert SECRET not in history.log.read_text()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("command", ["run", "topics", "watch"])
def test_a_wrong_password_is_one_sentence_without_it(secured: RealKafka, tmp_path: Path, mechanism: str, command: str) -> None:
    address = f"127.0.0.1:{secured.ports['SASL_SSL']}"
    wrong = "a-wrong-secret"
    history = History(tmp_path, address, login(secured, tmp_path, wrong, mechanism), seconds=60)
    ended = run(command, history.config)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"roadwatch: the broker at {address} refuses the login of 'roadwatch' by {mechanism} (")
    assert ended.stderr.endswith("; check kafka.sasl_username, kafka.sasl_mechanism and the password\n")
    assert ended.stderr.count("\n") == 1
    assert wrong not in ended.stderr


def test_a_certificate_of_ours_lets_us_in_and_without_it_nobody_gets_in(secured: RealKafka, tmp_path: Path) -> None:
    folder = secured.folder
    shown = f'ssl_certificate_location = "{folder / "client.pem"}"\nssl_key_location = "{folder / "client.key"}"'
    tls = f'security_protocol = "ssl"\nssl_ca_location = "{folder / "authority.pem"}"'
    address = f"127.0.0.1:{secured.ports['SSL']}"
    got_in = run("topics", History(tmp_path, address, f"{tls}\n{shown}", seconds=60).config)
    assert got_in.returncode == 0, got_in.stderr
    ended = run("topics", History(tmp_path, address, tls, seconds=60).config)
    assert ended.returncode == 1
    assert "kafka.ssl_certificate_location" in ended.stderr


def run(command: str, config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        roadwatch(command, "--config", str(config), *more), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
