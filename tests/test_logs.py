"""A log line is one JSON object or one readable line, and no identity gets into it on any way."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from dataflows import logs
from detectors.model import OBSERVATION

VIN = "LSVAA4182E2184847"
REPORTER = 1234567890123456789


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(level: str = "info", format: logs.Format = "json") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, format, stream)
    return stream


def test_a_line_is_one_json_object_in_a_fixed_order() -> None:
    stream = written()
    logs.logger("dataflows.kafka").warning("the broker does not answer", topic="v2x.observations", partition=3)
    line = json.loads(stream.getvalue())
    assert list(line)[:4] == ["time", "level", "message", "logger"]
    assert line["message"] == "the broker does not answer"
    assert line["partition"] == 3
    assert line["time"].endswith("Z")


def test_the_standard_library_logs_into_the_same_lines() -> None:
    stream = written()
    logging.getLogger("somebody.else").error("lost %d of %s", 3, VIN)
    line = json.loads(stream.getvalue())
    assert (line["level"], line["message"]) == ("error", "lost 3 of (withheld)")


def test_what_is_below_the_level_is_not_written() -> None:
    stream = written("warning")
    logs.logger("a").info("chatter")
    logging.getLogger("b").info("chatter")
    assert stream.getvalue() == ""


def test_a_level_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="There is no log level 'loud': choose debug, info"):
        logs.configure("loud")


def test_auto_is_json_where_nobody_looks() -> None:
    stream = written(format="auto")
    logs.logger("a").info("hello")
    assert json.loads(stream.getvalue())["message"] == "hello"


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_identity_gets_out(format: logs.Format) -> None:
    stream = written(format=format)
    rows = np.zeros(1, OBSERVATION)
    rows["reporter"] = REPORTER
    log = logs.logger("a")
    log.info("seen", reporter=REPORTER, rows=rows, nested={"vin": VIN, "list": [VIN, (VIN,)]}, note=f"it was {VIN}")
    log.info("first %s", VIN)
    try:
        raise KeyError(VIN)
    except KeyError as error:
        log.exception("failed", error=error)
    assert VIN not in stream.getvalue()
    assert str(REPORTER) not in stream.getvalue()
    assert "KeyError" in stream.getvalue()
    assert "Traceback" in stream.getvalue()
