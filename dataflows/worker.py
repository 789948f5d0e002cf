"""The long-running worker: the flow with recovery, a metrics page, logs, and an orderly end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError, RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from dataflows import health, kafka, logs
from dataflows.formats import FORMATS
from dataflows.incidents import flow
from dataflows.kafka_admin import output_names
from dataflows.metrics import METRICS
from dataflows.settings import Settings
from detectors import CATALOGUE

log = structlog.get_logger(__name__)

STORE = "roadwatch.json"  # beside the recovery partitions: what they were made with


class RecoveryError(Exception):
    """The recovery store does not fit: one sentence, and never a start from nothing unasked."""


def work(settings: Settings, process_id: int | None = None, addresses: list[str] | None = None) -> None:
    """Run until a signal comes. Raises BrokerError, RecoveryError, ServingError, kafka.DeliveryError."""
    logs.configure(settings.logs.level, settings.logs.format)
    METRICS.expect(
        inputs=[each.topic for each in settings.inputs.topics],
        outputs=output_names(settings),
        formats=FORMATS,
        detectors=[detector.__name__ for detector in CATALOGUE],
        steps=["windows", "incidents"],
    )
    graph = flow(settings)
    recovery = _recovery(settings) if settings.recovery.enabled else None
    server = _serve(settings, process_id or 0)
    _on_signals(_stop)
    log.info("running", topics=[each.topic for each in settings.inputs.topics], metrics=server.url if server else "off")
    try:
        cli_main(
            graph,
            process_id=process_id,
            addresses=addresses,
            epoch_interval=timedelta(seconds=settings.recovery.interval),
            recovery_config=recovery,
        )
    except (MissingPartitionsError, NoPartitionsError, InconsistentPartitionsError) as error:
        raise RecoveryError(f"the recovery store in {settings.recovery.directory} is damaged ({error}); restore it") from None
    except BytewaxRuntimeError as error:
        cause = _root(error)
        if isinstance(cause, kafka.DeliveryError):
            raise cause from None
        raise
    finally:
        if server:
            server.stop()
    log.info("stopped; the next start resumes from here")


def _stop() -> None:
    log.info("stopping: draining and writing the last snapshot")
    health.HEALTH.stopping()
    kafka.STOP.asked = True


def _on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM or SIGINT from a thread of its own, for the engine keeps the main thread from running Python."""
    signals = (signal.SIGTERM, signal.SIGINT)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

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


def _recovery(settings: Settings) -> RecoveryConfig:
    """Open the recovery store, or make it at the first run. Raises RecoveryError if it was made with other settings."""
    directory: Path = settings.recovery.directory
    made_with = {
        "version": 1,
        "shards": settings.window.shards,
        "pane": settings.window.pane,
        "cell_resolution": settings.window.cell_resolution,
        "shard_resolution": settings.window.shard_resolution,
        "reading_shards": settings.window.reading_shards,
        "partitions": settings.recovery.partitions,
    }
    store = directory / STORE
    try:
        if not store.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(directory.iterdir()):
                raise RecoveryError(f"{directory} holds something else than a recovery store; name an empty recovery.directory")
            init_db_dir(directory, settings.recovery.partitions)
            store.write_text(json.dumps(made_with))
        found = json.loads(store.read_text())
    except (OSError, ValueError) as error:
        raise RecoveryError(f"cannot use the recovery store in {directory}: {error}; check the disk and its rights") from None
    for name, value in made_with.items():
        if found.get(name) != value:
            raise RecoveryError(
                f"the recovery store in {directory} was made with {name} = {found.get(name)}, not {value}; "
                "set it back, or name another recovery.directory to start from nothing"
            )
    return RecoveryConfig(directory, backup_interval=timedelta(0))


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
