"""A real Apache Kafka for the tests: one node, KRaft, on loopback, in a directory of its own; `make kafka` fetches the jars.

`python -m tests.real_kafka` says in a sentence why it cannot run here, or fetches what is missing.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dataflows.broker import free_port
from dataflows.children import end, with_its_parent

ROOT = Path(__file__).parents[1]
JARS = ROOT / "var" / "kafka"
POM = ROOT / "tests" / "kafka" / "pom.xml"
VARIABLE = "KAFKA_JARS"  # `make kafka` sets it: then every test that wants a broker gets a real one
UP_WITHIN = 120.0  # s; measured: 5 s alone on two cores
JAVA = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
QUIET: dict[str, Any] = {"log_level": 0, "reconnect.backoff.max.ms": 250}  # for clients whose broker we kill

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
{more}
"""


class NoKafkaError(Exception):
    """One sentence: why there is no real Kafka here."""


def wanted() -> Path | None:
    """Where the jars are, if the tests are to run against a real Kafka."""
    named = os.environ.get(VARIABLE)
    return Path(named).resolve() if named else None


def fetch() -> None:
    """Get the jars with Maven, once. Raises NoKafkaError."""
    for command, package in (("java", "a Java runtime, 17 or later"), ("mvn", "Maven")):
        if shutil.which(command) is None:
            raise NoKafkaError(f"there is no {command} here: install {package}, then run make kafka again")
    if any(JARS.glob("kafka_2.13-*.jar")):
        return
    print("fetching Apache Kafka with Maven: half a minute, once", flush=True)
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={JARS}", "-DincludeScope=runtime"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = next((line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), "without a word")
        shutil.rmtree(JARS, ignore_errors=True)  # half of the jars are none
        raise NoKafkaError(f"Maven could not fetch Apache Kafka ({said[:300]}): see that it reaches a repository")


class RealKafka:
    """One node. Its directory outlives `kill`, so `start` comes back with what it had."""

    def __init__(self, folder: Path, listeners: Sequence[str] = (), more: Mapping[str, str] | None = None) -> None:
        """`listeners` beside PLAINTEXT, SSL or SASL_SSL, each on a port of its own; `more` settings of the broker."""
        self.folder = folder
        self.ports = {name: free_port() for name in ("PLAINTEXT", *listeners)}
        self.log = folder / "kafka.log"
        self._settings = folder / "server.properties"
        self._settings.write_text(
            SETTINGS.format(
                controller=free_port(),
                port=self.ports["PLAINTEXT"],
                listeners="".join(f",{name}://127.0.0.1:{self.ports[name]}" for name in listeners),
                logs=folder / "logs",
                more="\n".join(f"{name}={value}" for name, value in (more or {}).items()),
            )
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports['PLAINTEXT']}"

    def format(self, *arguments: str) -> None:
        """Make the empty log directory; `arguments` such as --add-scram."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._settings), *arguments]
        done = subprocess.run(self._java(*tool), capture_output=True, text=True, timeout=UP_WITHIN)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._java("kafka.Kafka", str(self._settings)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=with_its_parent,
            )
        try:
            self.admin().list_topics(timeout=UP_WITHIN)
        except KafkaException:
            raise AssertionError(f"Kafka did not come up: {self.log.read_text()[-3000:]}") from None

    def admin(self) -> AdminClient:
        return AdminClient(QUIET | {"bootstrap.servers": self.address})

    def kill(self) -> None:
        """As when the machine loses its power, but for what the kernel still writes."""
        self._child.kill()
        self._child.wait()

    def stop(self) -> None:
        end(self._child, patience=30.0)

    def _java(self, *arguments: str) -> list[str]:
        jars = wanted()
        assert jars is not None
        return ["java", *JAVA, "-cp", f"{jars}/*", *arguments]


@contextmanager
def real_kafka(
    folder: Path, listeners: Sequence[str] = (), more: Mapping[str, str] | None = None, scram: str | None = None
) -> Iterator[RealKafka]:
    """A node that has just been made, empty. `scram`: a user to make, as StorageTool wants it."""
    kafka = RealKafka(folder, listeners, more)
    kafka.format(*(["--add-scram", scram] if scram else []))
    kafka.start()
    try:
        yield kafka
    finally:
        kafka.stop()


if __name__ == "__main__":
    try:
        fetch()
    except NoKafkaError as error:
        print(f"Apache Kafka was not run: {error}", file=sys.stderr)
        sys.exit(1)
