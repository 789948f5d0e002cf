"""Why a broker does not talk to us: in a sentence that names who was tried, and soon, though the wait may be long."""

from __future__ import annotations

import socket
from typing import ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from dataflows import kafka_admin, kafka_refusal
from dataflows.kafka_admin import SOON, BrokerError
from dataflows.kafka_refusal import sentence
from dataflows.settings import Kafka
from dataflows.settings_reader import load

SAID = "Failed to get metadata: Local: Broker transport failure"  # by the call, whatever the reason
REFUSED = "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"


def test_an_address_without_a_port_is_told_with_the_one_that_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_refusal, "_listens", lambda _: False)
    assert sentence(Kafka(bootstrap_servers="127.0.0.1"), SAID, [("_TRANSPORT", REFUSED)]) == (
        "no Kafka broker answers at 127.0.0.1:9092, for no port was given "
        "(Connect to ipv4#127.0.0.1:9092 failed: Connection refused); start it, or set kafka.bootstrap_servers"
    )


def test_one_that_takes_connections_and_says_nothing_is_told_as_that() -> None:
    """To start it alone, as one that is not there, would be no advice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        assert sentence(Kafka(bootstrap_servers=servers), SAID, []) == (
            f"no Kafka broker answers at {servers} (it takes connections and does not answer); start it anew if it hangs, "
            "or set kafka.bootstrap_servers, and see whether kafka.security_protocol is what it speaks"
        )


class Nobody:
    """A client to whom nobody answers; notes how many seconds it was to wait."""

    waited: ClassVar[list[float]]

    def __init__(self, _: object) -> None: ...

    def list_topics(self, timeout: float) -> None:
        self.waited.append(timeout)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, _: float) -> None: ...


@pytest.mark.parametrize(("patience", "waits"), [(10.0, [SOON, 10.0 - SOON]), (SOON, [SOON])])
def test_whoever_waits_long_hears_soon_for_whom(patience: float, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """But waits as long as was asked for: a broker that is started at the same time is refused at first."""
    monkeypatch.setattr(kafka_admin, "AdminClient", Nobody)
    monkeypatch.setattr(kafka_refusal, "_listens", lambda _: False)
    monkeypatch.setattr(Nobody, "waited", [], raising=False)
    settings = load(None, {"kafka": {"bootstrap_servers": "127.0.0.1", "connect_timeout": patience}})
    with capture_logs() as lines, pytest.raises(BrokerError, match=r"answers at 127\.0\.0\.1:9092, for no port was given"):
        kafka_admin.connect(settings)
    assert Nobody.waited == waits
    assert [line["log_level"] for line in lines] == ["warning"] * (len(waits) - 1)
    assert all(line["event"].endswith("kafka.bootstrap_servers; it is waited for another 8 s") for line in lines)
