"""A recording as one shard in one process: detectors over its panes and incidents out of their findings, without the graph.

Rows come through the intake that the graph uses, so that what is late here is late there, and panes are cut by the same
function. What differs: there is one shard where the graph has 64, so a model knows the whole place and nothing is copied over
borders. It is for asking what a part is worth, many times over; what a score is, the graph says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from benchmarks import loops
from benchmarks.judge import Alert
from benchmarks.recordings import Day, Penetration, Place
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import NEVER, Intake
from dataflows.panes import TABLES, frames, in_order
from dataflows.settings_reader import load
from detectors.incidents import Incidents
from detectors.model import Detector, Finding, Frame, Rows
from detectors.plausibility import Plausibility

KEY = "benchmarks"  # as in the graph's runs: reporters have the same names, and rows the same order
SETTINGS = {"privacy": {"key": KEY}, "window": {"shards": 1}}
Findings = dict[str, list[Finding]]  # by the detector's name


def panes(place: Place, day: Day, penetration: Penetration, with_loops: bool = False) -> list[Frame]:
    """All panes of a day."""
    parts = {"observation": place.lines(day, penetration)}
    if with_loops:
        parts["sensor"] = (message for _, message in loops.messages(place, day))
    pieces: dict[str, list[Rows]] = {name: [np.empty(0, dtype)] for name, dtype in TABLES.items()}
    for form, messages in parts.items():
        for name, rows in _taken(form, messages):
            pieces[name].append(rows)
    tables = {name: in_order(np.concatenate(each)) for name, each in pieces.items()}
    length = load(None, SETTINGS).window.pane
    limit = max((int(rows["time"][-1]) for rows in tables.values() if len(rows)), default=0) // length * length + length
    return list(frames(tables, NEVER, limit, length, NEVER))


def _taken(form: str, messages: Iterable[bytes]) -> Iterator[tuple[str, Rows]]:
    """The rows of one partition that are not late."""
    settings = load(None, SETTINGS)
    context = Context(Pseudonym(KEY.encode()), settings.window.max_ahead)
    intake, rest = Intake(form, 0, FORMATS[form], context, Grid(settings.window), settings.window), iter(messages)
    while batch := list(islice(rest, settings.kafka.poll_messages)):
        poll = intake.take([m.rstrip(b"\n") for m in batch], np.full(len(batch), -1, np.int64), range(len(batch)))
        for chunk in poll.chunks.values():
            yield from ((name, rows) for name in TABLES if (rows := getattr(chunk, name)) is not None)


def detect(kinds: Iterable[type[Detector]], seen: Iterable[Frame]) -> Findings:
    """What each detector finds. None sees another, so any selection of these findings is what that selection would find."""
    detectors = {kind.__name__: kind() for kind in kinds}
    plausibility = Plausibility()
    found: Findings = {name: [] for name in detectors}
    for whole in seen:
        frame, _ = plausibility.believe(whole)
        for name, detector in detectors.items():
            found[name] += detector.update(frame)
    return found


def opened(findings: Iterable[Finding]) -> list[Alert]:
    """The incidents that these findings open."""
    every = list(findings)
    incidents = Incidents(load(None, SETTINGS).window.lateness)
    changes = incidents.advance(max((finding.time for finding in every), default=0), every)
    alerts = []
    for c in changes:
        if c.status == "opened":
            said = f"score {c.score:g}, {c.reporters} reporters, " + ", ".join(
                f"{name} {value:g}" for name, value in c.evidence
            )
            alerts.append(Alert(c.kind, c.lat, c.lon, c.opened, None if c.heading != c.heading else c.heading, said))
    return alerts
