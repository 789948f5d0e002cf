"""Says over HTTP whether the worker lives (/livez), whether it is ready (/readyz), and how it does (/metrics)."""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import structlog

from dataflows.metrics import CONTENT_TYPE, METRICS, Metrics
from dataflows.told import ToldError

log = structlog.get_logger(__name__)

HEARTBEAT_LIMIT = 60.0  # s: a snapshot of 50 000 keys was seen to stop the world for 13 s; four times that is a hang
START_LIMIT = 600.0  # s until the first poll: reading a large recovery store back takes longer than a pause


class ServingError(ToldError):
    """The page cannot be served at the address of the settings; the message says why and what to change."""


class Health:
    """What the flow knows of its own state; the flow writes, the HTTP server reads.

    >>> health = Health(clock=lambda: 0.0)
    >>> health.ready()
    False
    >>> health.assigned(4), health.broker(True), health.beat()
    (None, None, None)
    >>> health.unready()
    ()
    """

    def __init__(
        self,
        limit: float = HEARTBEAT_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.limit = limit  # s
        self._clock = clock
        self._metrics = metrics  # hears of the pauses between beats
        self._beat = self._polled = clock()  # the start counts as a sign of life
        self._begun = False
        self._partitions = 0
        self._helps = False
        self._runs = False
        self._broker: str | None = None
        self._undelivered = 0
        self._unreadable: dict[tuple[str, int], str] = {}  # why, by topic and partition
        self._stopping: str | None = None

    def beat(self) -> None:
        """A sign of life: to be called at every poll, be it empty."""
        now = self._clock()
        if self._begun and self._metrics is not None:
            self._metrics.paused(now - self._polled)
        self._beat, self._polled, self._begun = now, now, True

    def age(self) -> float:
        """Seconds since the last sign of life; 0 of who only helps."""
        return 0.0 if self._only_helps else self._clock() - self._beat

    def assigned(self, partitions: int) -> None:
        """How many input partitions this worker reads."""
        self._partitions = partitions

    def helps(self) -> None:
        """This worker is one of several. The engine deals the partitions out, and one that gets none detects what the others
        read: that it does not poll is no sign of death."""
        self._helps = True

    def runs(self) -> None:
        """The engine runs, and deals the partitions out."""
        self._runs = True

    def broker(self, reachable: bool, why: str = "it does not answer") -> None:
        """Whether the broker answers; `why` not: the client's own words."""
        self._broker = None if reachable else why

    def undelivered(self, records: int) -> None:
        """How many records the flow waits to be rid of; 0: it does not wait. To wait is to live: a restart would not help."""
        self._undelivered = records
        if records:
            self._beat = self._clock()

    def unreadable(self, topic: str, partition: int, why: str | None) -> None:
        """Why the broker does not let this partition be read; None: it does."""
        if why is not None:
            self._unreadable[topic, partition] = why
        else:
            self._unreadable.pop((topic, partition), None)

    @property
    def reachable(self) -> bool:
        return self._broker is None

    def stopping(self, why: str = "nothing to do") -> None:
        """The worker drains and takes nothing new; `why`, where it was not asked to."""
        self._stopping = why

    @property
    def stops(self) -> bool:
        return self._stopping is not None

    def dead(self) -> tuple[str, ...]:
        """Why the worker is to be restarted, in sentences; empty while it lives."""
        age, limit = self.age(), self.limit if self._begun else max(self.limit, START_LIMIT)
        if age <= limit:
            return ()
        return (
            f"The flow has not polled for {age:.0f} s, and {limit:.0f} s is the limit: "
            "restart the worker, it resumes from its last snapshot.",
        )

    @property
    def _only_helps(self) -> bool:
        return self._helps and not self._partitions

    @property
    def _starts(self) -> bool:
        """Until the first poll, for the engine begins all partitions of a process before it polls one of them."""
        return not (self._partitions and self._begun) and not (self._only_helps and self._runs)

    def unready(self) -> tuple[str, ...]:
        """Why the worker does no work now, in sentences; empty while it is ready."""
        found = list(self.dead())
        if self._stopping is not None:
            found.append(f"The worker is shutting down and takes no more messages: {self._stopping}.")
        if self._starts:
            found.append("The worker is starting: it reads no input partition yet.")
        if self._broker is not None:
            found.append(f"The Kafka broker cannot be reached ({self._broker}): check kafka.bootstrap_servers and the broker.")
        if self._undelivered:
            found.append(
                f"The flow stands still until the Kafka broker takes {self._undelivered} records: "
                "check the broker and the output topics; it goes on by itself."
            )
        found += self._refusals()
        return tuple(found)

    def _refusals(self) -> list[str]:
        """A sentence for each topic and reason: a topic may have hundreds of partitions, all of which say the same."""
        partitions: dict[tuple[str, str], list[int]] = {}
        for (topic, number), why in sorted(self._unreadable.copy().items()):
            partitions.setdefault((topic, why.replace(f"{topic} [{number}]", topic)), []).append(number)
        return [
            f"{topic} cannot be read, partition {', '.join(map(str, numbers))} ({why}): "
            "check our rights and whether the topic is there; it goes on by itself."
            for (topic, why), numbers in partitions.items()
        ]

    def ready(self) -> bool:
        return not self.unready()


HEALTH = Health(metrics=METRICS)
"""The worker's own; a test makes its own instance."""


class Server:
    """Serves the three pages on a thread of its own, from `serve` until `stop` or the end of the `with` block."""

    def __init__(self, listener: ThreadingHTTPServer) -> None:
        self._listener = listener
        self.host, self.port = str(listener.server_address[0]), int(listener.server_address[1])
        self._thread = threading.Thread(
            target=listener.serve_forever, kwargs={"poll_interval": 0.1}, name="roadwatch-health", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Take no more requests, free the port, end the thread. A second call does nothing."""
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def serve(health: Health, *, host: str = "127.0.0.1", port: int = 9464, metrics: Metrics = METRICS) -> Server:
    """Start the server; port 0 takes a free one, and `Server.port` says which. Raises ServingError."""
    try:
        listener = _Listener((host, port), _pages(health, metrics))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServingError(
                f"The metrics page cannot be served on {host}:{port}, because another program listens there: "
                "stop that one, or set metrics.port to a free port (0 takes any)."
            ) from error
        raise ServingError(
            f"The metrics page cannot be served on {host}:{port} ({error.strerror or error}): "
            "set metrics.host to an address of this machine and metrics.port to a port that you may open."
        ) from error
    except OverflowError as error:  # what socket.bind says of a port that cannot be
        raise ServingError(f"metrics.port is {port}: set it to a number from 0 to 65535.") from error
    metrics.watch(health.ready, health.age)
    return Server(listener)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True  # a reader that hangs does not hold back the end

    def __init__(self, address: tuple[str, int], pages: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, pages)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone, which is his business; all else is a mistake of ours. Neither is to name him."""
        if not isinstance(error := sys.exception(), ConnectionError):
            log.error("a page could not be served", exc_info=error)

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, which can take long and serves nothing here."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def _pages(health: Health, metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Pages(BaseHTTPRequestHandler):
        timeout = 10.0  # s: a client that says nothing is let go
        server_version = "roadwatch"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(HTTPStatus.OK, CONTENT_TYPE, metrics.page())
            elif path == "/livez":
                self._judge(health.dead())
            elif path == "/readyz":
                self._judge(health.unready())
            else:
                problem = "There is no such page: ask /metrics, /livez or /readyz."
                self._send_json(HTTPStatus.NOT_FOUND, {"ok": False, "problems": [problem]})

        def do_HEAD(self) -> None:
            self.do_GET()  # _send leaves out the body

        def _judge(self, problems: tuple[str, ...]) -> None:
            status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
            self._send_json(status, {"ok": not problems, "problems": list(problems)})

        def _send_json(self, status: HTTPStatus, body: dict[str, object]) -> None:
            self._send(status, "application/json", json.dumps(body).encode() + b"\n")

        def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a line for every scrape would bury the log."""

    return Pages


HEALTH = Health(metrics=METRICS)
"""The worker's own; a test makes its own instance."""
