"""librdkafka's mock cluster: brokers on loopback, inside this process, that fail, move and dawdle on order.

It lies in the library that the client's wheel brings, and is reached by ctypes, for the client itself has no door to it. It
keeps 5 MiB of each partition and drops the oldest in silence: play less than that. A batch that an idempotent producer sends
again it does not recognise, as a real broker would; so a delivery whose answer got lost appears twice.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import confluent_kafka
import pytest

# Requests of the Kafka protocol, by their key there.
PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, INIT_PRODUCER_ID = 0, 1, 2, 3, 8, 22

TRANSPORT = -195  # RD_KAFKA_RESP_ERR__TRANSPORT: as an error on order, the broker hangs up
ALL = -1  # brokers
PRODUCER = 0  # rd_kafka_type_t
OUTAGE = 100_000  # requests: ten minutes of a client that tries again a hundred times a second
TEXT = 512  # bytes for an error's text


class MockCluster:
    """Three brokers, numbered from 1, until the `with` block ends. Every order is in force when its method returns."""

    def __init__(self, brokers: int = 3) -> None:
        self._library = _library()
        self._client = self._new_client()
        self._cluster = self._call("cluster_new", brokers, result=ctypes.c_void_p)
        self.bootstrap: str = self._call("cluster_bootstraps", result=ctypes.c_char_p).decode()
        self.brokers = range(1, brokers + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._call("cluster_destroy", result=None)
        self._library.rd_kafka_destroy(ctypes.c_void_p(self._client))

    def topic(self, name: str, partitions: int, leader: int | None = None) -> None:
        """Make a topic; `leader`: the broker that leads all its partitions, else they are spread."""
        self._do("topic_create", name.encode(), partitions, len(self.brokers))
        for partition in range(partitions) if leader is not None else ():
            self.lead(name, partition, leader or 0)

    def lead(self, topic: str, partition: int, broker: int) -> None:
        self._do("partition_set_leader", topic.encode(), ctypes.c_int32(partition), ctypes.c_int32(broker))

    def down(self, broker: int = ALL) -> None:
        self._do("broker_set_down", ctypes.c_int32(broker))

    def up(self, broker: int = ALL) -> None:
        self._do("broker_set_up", ctypes.c_int32(broker))

    def slow(self, milliseconds: int, broker: int = ALL) -> None:
        """Every answer takes so long from now on."""
        self._do("broker_set_rtt", ctypes.c_int32(broker), milliseconds)

    def fail(self, broker: int, request: int, *errors: int) -> None:
        """The next requests of this kind to this broker get these errors, one each."""
        for error in errors:
            order = ctypes.c_size_t(1), ctypes.c_int(error), ctypes.c_int(0)  # and no delay
            self._do("broker_push_request_error_rtts", ctypes.c_int32(broker), ctypes.c_int16(request), *order)

    @contextmanager
    def failing(self, request: int, error: int) -> Iterator[None]:
        """All requests of this kind get this error, whichever broker they go to, while the block lasts.

        It ends with a broken connection. Several requests of an idempotent producer are on their way at once, and a real broker
        takes none of them before it has taken the ones ahead; this one would take the second when the first met the last error,
        and the client then rightly believes that the first was taken, too.
        """
        errors = (ctypes.c_int * OUTAGE)(*[error] * OUTAGE)
        self._call("push_request_errors_array", ctypes.c_int16(request), ctypes.c_size_t(OUTAGE), errors, result=None)
        try:
            yield
        finally:
            self.down()
            self._call("clear_request_errors", ctypes.c_int16(request), result=None)
            self.up()

    def unmet(self, broker: int, request: int) -> int:
        """How many of the errors on order nobody has met yet."""
        count = ctypes.c_size_t()
        self._do("broker_error_stack_cnt", ctypes.c_int32(broker), ctypes.c_int16(request), ctypes.byref(count))
        return count.value

    def _new_client(self) -> int:
        """What the cluster is hung on: a client that is never used."""
        library = self._library
        library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
        said = ctypes.create_string_buffer(TEXT)
        settings = ctypes.c_void_p(library.rd_kafka_conf_new())
        library.rd_kafka_conf_set(settings, b"log_level", b"0", said, ctypes.c_size_t(TEXT))
        client: int | None = library.rd_kafka_new(PRODUCER, settings, said, ctypes.c_size_t(TEXT))
        assert client, said.value.decode()
        self._cluster = client  # the first call, cluster_new, takes the client in the cluster's place
        return client

    def _call(self, name: str, *arguments: Any, result: Any) -> Any:
        function = self._library[f"rd_kafka_mock_{name}"]  # by index: a function object of our own, whose restype is ours
        function.restype = result
        return function(ctypes.c_void_p(self._cluster), *arguments)

    def _do(self, name: str, *arguments: Any) -> None:
        error = self._call(name, *arguments, result=ctypes.c_int)
        assert error == 0, f"{name}: {confluent_kafka.KafkaError(error).str()}"


def _library() -> ctypes.CDLL:
    beside = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    found = next(iter(beside.glob("librdkafka*.so*")), None)
    if found is None:
        pytest.skip("needs librdkafka's mock cluster, which is in the client's Linux wheel")
    return ctypes.CDLL(str(found))
