"""Sets up the log: one JSON object a line on stderr, or readable lines on a terminal, and never an identity in it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "console"]

WITHHELD = "(withheld)"
IDENTITY = frozenset({"reporter", "reporters", "vin", "vehicle", "vehicle_id", "temporary_id", "station_id", "iccid"})
VIN = r"\b(?=[A-Z0-9]*[0-9])(?=[0-9]*[A-Z])[A-HJ-NPR-Z0-9]{17}\b"  # ISO 3779: 17 characters, no I, O, Q
REPORTER = r"(?<![\d.])\d{16,20}\b"  # 64 bits in a sentence of numpy's: all but one in two thousand have so many digits
WHO = re.compile(f"{VIN}|{REPORTER}")


def configure(level: str = "info", format: Format = "auto", stream: TextIO | None = None) -> None:
    """Send what structlog and the standard library log to `stream` (stderr), from `level` (debug to critical) on.

    `auto` is console on a terminal and JSON elsewhere. Keys of a line: time (RFC 3339, UTC), level, message, logger,
    then what the caller gave. Raises ValueError for a level that does not exist.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"There is no log level {level!r}: choose debug, info, warning, error or critical.")
    out = stream if stream is not None else sys.stderr
    console = format == "console" or (format == "auto" and out.isatty())
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,  # text without the local variables: those hold observations
        structlog.processors.EventRenamer("message"),
        withhold,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger made before configure follows it
    )
    render: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), event_key="message", timestamp_key="time")
        if console
        else structlog.processors.JSONRenderer()
    )
    lines = logging.StreamHandler(out)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _ordered, render],
            foreign_pre_chain=common,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(threshold)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The log of one module: `logger(__name__).warning("what happened, in words", topic=topic)`."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


def withhold(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Take out what could say who drove: keys of identities, VINs and reporters in texts, objects whose repr might hold them.

    >>> withhold(None, "", {"message": "seen LSVAA4182E2184847", "reporter": 7, "lag": 3, "rows": object()})
    {'message': 'seen (withheld)', 'reporter': '(withheld)', 'lag': 3, 'rows': '(object)'}
    """
    return {key: value if key.startswith("_") else _plain(value, key) for key, value in line.items()}


def _plain(value: Any, key: str = "") -> Any:
    if key in IDENTITY:
        return WITHHELD
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | PurePath | BaseException):
        return WHO.sub(WITHHELD, str(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each, str(name)) for name, each in value.items()}
    return f"({type(value).__name__})"


def _ordered(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    first = {key: line.pop(key) for key in ("time", "level", "message", "logger") if key in line}
    return first | dict(line)
