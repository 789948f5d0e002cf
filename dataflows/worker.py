"""The long-running worker: the flow with recovery, a metrics page, logs, and an orderly end on SIGTERM."""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import structlog
from bytewax.dataflow import Dataflow
from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError, RecoveryConfig
from bytewax.run import cli_main

from dataflows import clock_watch, disk, health, heap, kafka_reader, kafka_sink, logs
from dataflows.cluster import ClusterError
from dataflows.formats import FORMATS
from dataflows.incidents import flow
from dataflows.kafka_admin import connect, output_names
from dataflows.kafka_sink import DeliveryError
from dataflows.metrics import METRICS
from dataflows.panics import Panics
from dataflows.rehearsal import rehearse
from dataflows.seal import SealError
from dataflows.secret_files import about_the_key
from dataflows.settings import Settings, SettingsError
from dataflows.shelf import ShelfError
from dataflows.stop import STOP
from dataflows.store import has_snapshot, is_there, of_sqlite, open_store, sole_use, trouble, unusable
from dataflows.window import PLAUSIBILITY
from detectors import CATALOGUE

log = structlog.get_logger(__name__)


def work(
    settings: Settings, process_id: int | None = None, addresses: list[str] | None = None, warnings: Sequence[str] = ()
) -> None:
    """Run until a signal comes, or partitions are added, which need a new start; `warnings` are for the log.

    Raises BrokerError, ClusterError, RecoveryError, ServingError, DeliveryError, PartitionsAddedError, SettingsError.
    """
    if not settings.inputs.topics:
        raise SettingsError("inputs.topics is empty, so there is nothing to read; name a topic and its format")
    if len(addresses or ()) > settings.window.shards:
        raise SettingsError(
            f"window.shards is {settings.window.shards}, and a process without a shard does not know how far the others are: "
            f"take more shards than the {len(addresses or ())} processes"
        )
    _open_files()
    os.umask(0o077)  # what it writes, the recovery store, is for this user only, whoever made the directory
    logs.configure(settings.logs.level, settings.logs.format)
    for warning in warnings:
        log.warning(warning)
    METRICS.expect(
        inputs=[each.topic for each in settings.inputs.topics],
        outputs=output_names(settings),
        formats=FORMATS,
        detectors=[*(detector.__name__ for detector in CATALOGUE), PLAUSIBILITY],
        steps=["windows", "incidents"],
    )
    server = None
    if settings.recovery.enabled and not is_there(settings):  # one that is made belongs to a run: what may fail comes first
        connect(settings)
        server = _serve(settings, process_id or 0)
    recovery = open_store(settings, process_id or 0) if settings.recovery.enabled else None
    with sole_use(settings, process_id or 0) if recovery else nullcontext():
        known = recovery is not None and has_snapshot(settings.recovery.directory)
        _work(settings, recovery, "resumed" if known else "none was there: from nothing", process_id, addresses, server)
    log.info("stopped; the next start resumes from here")
    if STOP.why is not None:
        raise STOP.why


def _open_files() -> None:
    """As many as the system lets this user have: each partition takes some ten, and by default a process may have 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say that there is no limit, and mean one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _work(
    settings: Settings,
    recovery: RecoveryConfig | None,
    state: str,
    process_id: int | None,
    addresses: list[str] | None,
    server: health.Server | None,
) -> None:
    """`server`: of the pages, where it was started already."""
    for sentence in about_the_key(settings):
        log.warning(sentence)
    graph = _graph(settings, kept=recovery is not None)
    server = server or _serve(settings, process_id or 0)
    _on_signals(_stop)
    clock_watch.watch()
    rehearse(settings.window)
    heap.settle()
    topics = [each.topic for each in settings.inputs.topics]
    log.info("running", topics=topics, state=state if recovery else "not kept", metrics=server.url if server else "off")
    if addresses is not None and len(addresses) > 1:
        health.HEALTH.helps()
    panics = Panics()
    try:
        with panics:
            cli_main(
                graph,
                process_id=process_id,
                addresses=addresses,
                epoch_interval=timedelta(seconds=settings.recovery.interval),
                recovery_config=recovery,
            )
    except BaseException as error:
        if addresses is not None:
            atexit.register(_leave)
        better = _sentence(error, panics.said.decode(errors="replace"), settings, alone=addresses is None)
        if better is None:
            panics.release()
            raise
        raise better from None
    finally:
        if server:
            server.stop()


def _graph(settings: Settings, kept: bool) -> Dataflow:
    """It notes beside the snapshots what its first start is to read, for which there may be no room."""
    try:
        return flow(settings, store=settings.recovery.directory if kept else None, kept=kept)
    except OSError as error:
        if (better := _sentence(error, "", settings, alone=True)) is None:
            raise
        raise better from None


def _leave() -> None:
    """End at once: a cluster's threads outlive a panic, and one that then asks for Python aborts the process (signal 6)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _stop() -> None:
    log.info("stopping: draining and writing the last snapshot")
    health.HEALTH.stopping()
    STOP.ask()


def _on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM or SIGINT from a thread of its own, for the engine keeps the main thread from running Python."""
    signals = (signal.SIGTERM, signal.SIGINT)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # first: a signal in between would be lost
    for number in signals:
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        while os.read(reader, 1)[0] not in signals:
            pass
        stop()

    threading.Thread(target=wait, name="roadwatch-signals", daemon=True).start()


def _serve(settings: Settings, process_id: int) -> health.Server | None:
    if not settings.metrics.enabled:
        return None
    port = settings.metrics.port and settings.metrics.port + process_id
    return health.serve(health.HEALTH, host=settings.metrics.host, port=port)


def _sentence(error: BaseException, panic: str, settings: Settings, alone: bool) -> Exception | None:
    """What the engine's end means, in our words; None: we have none."""
    cause, directory = _root(error), settings.recovery.directory.absolute()
    if (told := kafka_sink.FAILURE.error or kafka_reader.FAILURE.error) is not None:
        return told
    if disk.FAILURE.error is not None:
        return unusable(directory, disk.complaint(disk.FAILURE.error))
    if isinstance(cause, DeliveryError):
        return cause
    if isinstance(cause, ShelfError):
        return unusable(directory, str(cause))
    if isinstance(cause, SealError):
        return unusable(directory, f"the state of {cause} was changed while it was being read")
    if isinstance(cause, OSError) and directory in Path(str(cause.filename)).absolute().parents:
        return unusable(directory, str(cause))
    if isinstance(error, MissingPartitionsError | NoPartitionsError | InconsistentPartitionsError):
        return unusable(directory, str(error))
    if complaint := of_sqlite(f"{cause} {panic}"):
        return unusable(directory, complaint)
    if not alone and type(error).__name__ == "PanicException":  # the engine's, which has no name in Python, and says nothing
        if settings.recovery.enabled and (complaint := trouble(directory)):
            return unusable(directory, complaint)
        return _left()
    return None


def _left() -> ClusterError:
    """The engine says no more than that a connection broke; where all were asked to end, nobody need have died."""
    if health.HEALTH.stops:
        away = "" if health.HEALTH.reachable else " while the Kafka broker is away"
        return ClusterError(
            f"asked to end{away}, and another process of the cluster ended first, so this one wrote no last snapshot; "
            "the next start resumes from the one before"
        )
    return ClusterError("another process of the cluster died, so this one ends; start them all again together")


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
