"""The long-running worker: the flow with recovery, a metrics page, logs, and an orderly end on SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError
from bytewax.run import cli_main

from dataflows import health, kafka, logs
from dataflows.cluster import ClusterError
from dataflows.formats import FORMATS
from dataflows.incidents import flow
from dataflows.kafka_admin import output_names
from dataflows.kafka_sink import FAILURE, DeliveryError
from dataflows.metrics import METRICS
from dataflows.settings import Settings
from dataflows.store import RecoveryError, open_store
from dataflows.window import PLAUSIBILITY
from detectors import CATALOGUE

log = structlog.get_logger(__name__)


def work(settings: Settings, process_id: int | None = None, addresses: list[str] | None = None) -> None:
    """Run until a signal comes. Raises BrokerError, ClusterError, RecoveryError, ServingError, DeliveryError."""
    logs.configure(settings.logs.level, settings.logs.format)
    METRICS.expect(
        inputs=[each.topic for each in settings.inputs.topics],
        outputs=output_names(settings),
        formats=FORMATS,
        detectors=[*(detector.__name__ for detector in CATALOGUE), PLAUSIBILITY],
        steps=["windows", "incidents"],
    )
    graph = flow(settings)
    recovery = open_store(settings, process_id or 0) if settings.recovery.enabled else None
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
        if isinstance(cause, DeliveryError):
            raise cause from None
        raise
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the engine's, which has no name in Python
            raise
        if FAILURE.error is not None:
            raise FAILURE.error from None
        if addresses is None:
            raise
        raise ClusterError("another process of the cluster died, so this one ends; start them all again together") from None
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


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
