"""The demonstration where there is no broker: the same messages through the same graph, from files, in this process."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from bytewax.run import cli_main

from dataflows import logs, replay
from dataflows.demo.page import Page
from dataflows.demo.recording import Wire, messages
from dataflows.demo.summary import Counts
from dataflows.incidents import flow
from dataflows.metrics import METRICS
from dataflows.settings_reader import load
from dataflows.watch import Alert

WIRES: tuple[Wire, ...] = ("observation", "ode-json", "gbt32960", "sensor")


def encode(directory: Path) -> list[tuple[Path, str]]:
    """Write the recording as one file a format; returns (file, format)."""
    files = {wire: directory / f"{wire}.{'hex' if wire == 'gbt32960' else 'jsonl'}" for wire in WIRES}
    with ExitStack() as stack:
        outs = {wire: stack.enter_context(path.open("wb")) for wire, path in files.items()}
        for sent in messages():
            outs[sent.format].write((sent.message.hex().encode() if sent.format == "gbt32960" else sent.message) + b"\n")
    return [(path, wire) for wire, path in files.items()]


def replay_recording(directory: Path) -> tuple[list[Alert], Counts]:
    """Everything, as fast as it goes: the alerts in their order, and what became of the messages."""
    settings = load(None, {"privacy": {"key_file": directory / "pseudonym.key"}})
    logs.configure("warning")
    files = encode(directory)
    alerts, dead = directory / "alerts.jsonl", directory / "dead-letters"
    for path in (alerts, dead):  # made by the first record otherwise, and there may be none
        path.touch()
    started = time.monotonic()
    cli_main(flow(settings, replay.ends(files, settings, alerts, dead_letters=dead), kept=False))
    seconds = time.monotonic() - started
    counts = Counts.of(Page.parse(METRICS.page().decode()), seconds, len(dead.read_bytes().splitlines()))
    return [json.loads(line) for line in alerts.read_bytes().splitlines()], counts
