"""The worker says in sentences whether it lives and is ready, and its page opens and closes cleanly."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import cast

import pytest
from structlog.testing import capture_logs

from dataflows.health import Health, Server, ServingError, _Listener, serve
from dataflows.metrics import CONTENT_TYPE, Metrics


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(limit=60.0, clock=clock)


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    with serve(health, port=0, metrics=Metrics()) as server:
        yield server


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, content type and body."""
    request = urllib.request.Request(server.url + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def test_the_start_may_take_longer_than_a_pause(health: Health, clock: Clock) -> None:
    clock.now += 600
    assert health.dead() == ()
    clock.now += 1
    assert "601 s" in health.dead()[0]


def test_who_waits_for_the_broker_lives_and_is_not_ready(health: Health, clock: Clock) -> None:
    """A restart would not help; and when it goes on, the pause is told as long as it was."""
    health.assigned(1)
    health.broker(True)
    health.beat()
    for _ in range(10):
        clock.now += 30
        health.undelivered(7)
    assert health.dead() == ()
    assert health.unready() == (
        "The flow stands still until the Kafka broker takes 7 records: "
        "check the broker and the output topics; it goes on by itself.",
    )
    health.undelivered(0)
    assert health.ready()


def test_a_wait_for_the_broker_is_a_pause(clock: Clock) -> None:
    metrics = Metrics()
    health = Health(clock=clock, metrics=metrics)
    health.beat()
    clock.now += 30
    health.undelivered(7)
    health.beat()
    assert "roadwatch_poll_pause_seconds_sum 30.0" in metrics.page().decode()


def test_a_beat_keeps_it_alive(health: Health, clock: Clock) -> None:
    health.beat()
    clock.now += 60
    assert health.dead() == ()
    clock.now += 1
    assert health.dead() == (
        "The flow has not polled for 61 s, and 60 s is the limit: restart the worker, it resumes from its last snapshot.",
    )
    health.beat()
    assert health.dead() == ()
    assert health.age() == 0


def test_while_it_starts_it_says_so_and_sends_nobody_after_a_fault(health: Health) -> None:
    assert health.unready() == ("The worker is starting: it reads no input partition yet.",)
    health.runs()
    assert not health.ready(), "reading a large recovery store back takes a while"
    health.assigned(3)
    assert health.unready() == ("The worker is starting: it reads no input partition yet.",), "others are still to be begun"
    health.beat()
    assert health.ready()


def test_one_of_several_starts_until_the_engine_runs(health: Health) -> None:
    """It may wait for the others."""
    health.helps()
    assert "is starting" in health.unready()[0]
    health.runs()
    assert health.ready()


def test_one_of_several_that_got_no_partition_lives_and_is_ready(health: Health, clock: Clock) -> None:
    health.helps()
    health.runs()
    clock.now += 10_000
    assert health.ready()
    assert health.age() == 0
    health.broker(False, "Connection refused")
    assert "Connection refused" in health.unready()[0]
    health.assigned(1)
    health.broker(True)
    assert "10000 s" in health.dead()[0], "of one that reads it is"


@pytest.mark.parametrize("trouble", ["broker", "stopping", "dead"])
def test_each_trouble_alone_makes_it_unready(health: Health, clock: Clock, trouble: str) -> None:
    health.beat()
    health.broker(True)
    health.assigned(3)
    if trouble == "broker":
        health.broker(False, "Connection refused")
    elif trouble == "stopping":
        health.stopping()
    else:
        clock.now += 61
    (sentence,) = health.unready()
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert trouble != "broker" or "Connection refused" in sentence


def test_the_pages(server: Server, health: Health, clock: Clock) -> None:
    health.beat()
    assert ask(server, "/livez") == (200, "application/json", b'{"ok": true, "problems": []}\n')
    status, _, body = ask(server, "/readyz?verbose")
    assert status == 503
    assert json.loads(body) == {"ok": False, "problems": list(health.unready())}
    health.broker(True)
    health.assigned(1)
    assert ask(server, "/readyz")[0] == 200
    clock.now += 61
    assert ask(server, "/livez")[0] == ask(server, "/readyz")[0] == 503
    assert ask(server, "/")[0] == 404


def test_the_metrics_page_says_what_health_says(server: Server, health: Health, clock: Clock) -> None:
    status, content_type, body = ask(server, "/metrics")
    assert (status, content_type) == (200, CONTENT_TYPE)
    assert b"\nroadwatch_ready 0.0\n" in body
    health.broker(True)
    health.assigned(1)
    health.beat()
    clock.now += 4
    body = ask(server, "/metrics")[2]
    assert b"\nroadwatch_ready 1.0\n" in body
    assert b"\nroadwatch_heartbeat_age_seconds 4.0\n" in body


def test_head_gives_the_headers_alone(server: Server) -> None:
    assert ask(server, "/metrics", "HEAD")[:2] == (200, CONTENT_TYPE)
    with socket.create_connection((server.host, server.port), timeout=10) as raw:  # for urllib drops a body by itself
        raw.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        assert raw.makefile("rb").read().endswith(b"\r\n\r\n")


def test_nothing_is_told_about_the_machinery_behind(server: Server) -> None:
    with urllib.request.urlopen(server.url + "/livez", timeout=10) as answer:
        assert "Python" not in answer.headers["Server"]


def test_it_listens_on_loopback_unless_told_otherwise(server: Server) -> None:
    assert server.host == "127.0.0.1"
    assert server.port != 0


def test_a_port_in_use_is_one_sentence(server: Server, health: Health) -> None:
    with pytest.raises(ServingError, match=rf"cannot be served on 127\.0\.0\.1:{server.port}, because another program"):
        serve(health, port=server.port, metrics=Metrics())


@pytest.mark.parametrize(
    ("host", "port", "says"), [("127.0.0.1", 70_000, "from 0 to 65535"), ("192.0.2.1", 0, "set metrics.host")]
)
def test_an_impossible_address_is_one_sentence(health: Health, host: str, port: int, says: str) -> None:
    with pytest.raises(ServingError, match=says):
        serve(health, host=host, port=port, metrics=Metrics())


def test_stop_frees_the_port_and_ends_the_thread(health: Health) -> None:
    server = serve(health, port=0, metrics=Metrics())
    assert ask(server, "/livez")[0] == 200
    server.stop()
    server.stop()  # does no harm
    assert not [thread for thread in threading.enumerate() if thread.name == "roadwatch-health"]
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", server.port))
        again.listen()


@pytest.mark.parametrize(("error", "said"), [(ConnectionResetError(), 0), (ValueError("a mistake"), 1)])
def test_who_asks_and_goes_is_not_told_of_and_never_by_his_address(
    error: Exception, said: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as lines:
        try:
            raise error
        except (ConnectionError, ValueError):
            _Listener.handle_error(cast(_Listener, None), None, ("10.0.0.7", 5555))
    assert len(lines) == said
    assert "10.0.0.7" not in f"{lines}{capsys.readouterr()}"
