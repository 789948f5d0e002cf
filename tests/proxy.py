"""A TCP proxy before one broker, for the network's faults: connections that are reset, that stall, and that are half open.

A broker tells its clients its own address, and they would go there next; so the proxy reads the broker's frames and puts its
own port into the place of the broker's, which has the same length. Whoever uses the broker's own address is spared.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

LENGTH = 4  # bytes before each frame of the Kafka protocol that say how long it is
LINGER = struct.pack("ii", 1, 0)  # for SO_LINGER: close at once, with a reset
HOST = "127.0.0.1"


class Proxy:
    """Forwards to `broker` (host:port) from `address`, until the `with` block ends."""

    def __init__(self, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        self._broker = (host, int(port))
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._theirs, self._ours = _advertised(self._broker[1]), _advertised(self._listener.getsockname()[1])
        self._open: set[Pair] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()
        self._flows.set()

    def reset(self) -> int:
        """Cut all connections at once, whatever is on its way; returns how many there were."""
        pairs = self._taken()
        for pair in pairs:
            pair.cut()
        return len(pairs)

    def stall(self) -> None:
        """Nothing gets through from now on, in either direction; what is sent waits."""
        self._flows.clear()

    def flow(self) -> None:
        """What waits gets through."""
        self._flows.set()

    def half_open(self) -> int:
        """The connections that there are stay open and carry nothing, for ever; new ones are fine. Returns how many."""
        pairs = self._taken()
        for pair in pairs:
            pair.deaf = True
        return len(pairs)

    def _taken(self) -> list[Pair]:
        with self._lock:
            return [pair for pair in self._open if not pair.deaf]

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was closed
                return
            try:
                broker = socket.create_connection(self._broker)
            except OSError:  # the broker is away, and so is the proxy
                client.close()
                continue
            pair = Pair(client, broker)
            with self._lock:
                self._open.add(pair)
            for target in (self._to_broker, self._to_client):
                threading.Thread(target=target, args=(pair,), name="proxy", daemon=True).start()

    def _to_broker(self, pair: Pair) -> None:
        with suppress(OSError):
            while sent := pair.client.recv(65_536):
                self._pass(pair, pair.broker, sent)
        self._close(pair)

    def _to_client(self, pair: Pair) -> None:
        with suppress(OSError):
            while frame := _frame(pair.broker):
                self._pass(pair, pair.client, frame.replace(self._theirs, self._ours))
        self._close(pair)

    def _pass(self, pair: Pair, to: socket.socket, sent: bytes) -> None:
        self._flows.wait()
        if not pair.deaf:
            to.sendall(sent)

    def _close(self, pair: Pair) -> None:
        with self._lock:
            self._open.discard(pair)
        pair.cut()


class Pair:
    """One client's connection, and the one to the broker behind it."""

    def __init__(self, client: socket.socket, broker: socket.socket) -> None:
        self.client, self.broker = client, broker
        self.deaf = False

    def cut(self) -> None:
        for end in (self.client, self.broker):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _frame(broker: socket.socket) -> bytes:
    """One whole frame with its length; nothing at the end."""
    head = _exactly(broker, LENGTH)
    return head + _exactly(broker, int.from_bytes(head, "big")) if head else b""


def _exactly(broker: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = broker.recv(size - len(got))
        if not part:
            return b""
        got += part
    return bytes(got)


def _advertised(port: int) -> bytes:
    """How an address stands in the protocol's answers: a string, then the port in four bytes."""
    return HOST.encode() + struct.pack(">i", port)
