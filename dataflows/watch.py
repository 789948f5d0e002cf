"""`roadwatch watch`: the open incidents as a live table, from the compacted topic that keeps each one's newest state."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dataflows.interrupt import Interrupt, noted
from dataflows.settings import Settings
from dataflows.tap import Reader, Received

Alert = Mapping[str, Any]  # as schema/alert.schema.json has it
GRAVE = {"Extreme": 0, "Severe": 1, "Moderate": 2, "Minor": 3, "Unknown": 4}
COLOURS = {"Extreme": "bold red", "Severe": "red", "Moderate": "yellow", "Minor": "cyan", "Unknown": "dim"}
NEEDED = {"incident_id", "sequence", "status", "kind", "severity", "certainty"}
NEEDED |= {"detected_at", "onset_at", "updated_at", "expires_at", "location", "reporters"}
COLUMNS = (
    *("kind", "severity", "certainty", "began", "opened", "last change"),
    *("place", "heading", "radius", "reporters", "incident"),
)
WIDTHS = {  # characters, the column that is missed most first: on a narrow terminal the last ones are left out
    "kind": 22,
    "severity": 8,
    "place": 19,
    "last change": 11,
    "reporters": 9,
    "opened": 8,
    "certainty": 9,
    "heading": 7,
    "radius": 7,
    "began": 8,
    "incident": 16,
}
FRAME = 3  # characters around each column


class Said(NamedTuple):
    """An alert, and when its topic got it."""

    alert: Alert
    at: int  # ms since the epoch

    def expired(self, now: int) -> bool:
        """Whether it was said longer ago than it is valid. The times in it may be those of a recording."""
        until, since = (datetime.fromisoformat(self.alert[name]) for name in ("expires_at", "updated_at"))
        return self.at > 0 and now - self.at > (until - since).total_seconds() * 1000


class OpenIncidents:
    """The newest state of each open incident, folded from the messages of the topic in their order."""

    def __init__(self) -> None:
        self._said: dict[bytes, Said] = {}

    def take(self, received: Iterable[Received]) -> list[Alert]:
        """Fold messages in; returns the alerts that said something new. What is no alert is passed over."""
        news: list[Alert] = []
        for message in received:
            alert = parse(message.value)
            if alert is None or alert["status"] == "cleared":
                self._said.pop(message.key, None)
            elif message.key not in self._said or alert["sequence"] > self._said[message.key].alert["sequence"]:
                self._said[message.key] = Said(alert, message.timestamp)
            else:
                continue  # at-least-once: the same bytes again
            if alert is not None:
                news.append(alert)
        return news

    def __len__(self) -> int:
        return len(self._said)

    def rows(self, now: int) -> list[Row]:
        """Of the table at `now`, in ms since the epoch: what has expired last, the gravest first, then the newest."""
        rows = [Row(said.alert, said.expired(now)) for said in self._said.values()]
        rows.sort(key=lambda row: row.alert["updated_at"], reverse=True)
        return sorted(rows, key=lambda row: (row.expired, GRAVE.get(row.alert["severity"], 9)))


class Row(NamedTuple):
    """One incident of the table."""

    alert: Alert
    expired: bool  # nothing was said of it for longer than it is valid

    @property
    def cells(self) -> dict[str, str]:
        alert, radius = self.alert, self.alert["location"].get("radius_m")
        return {
            "kind": alert["kind"],
            "severity": alert["severity"],
            "certainty": alert["certainty"],
            "began": _clock(alert["onset_at"]),
            "opened": _clock(alert["detected_at"]),
            "last change": "expired" if self.expired else _clock(alert["updated_at"]),
            "place": _place(alert),
            "heading": _heading(alert),
            "radius": "" if radius is None else f"{radius} m",
            "reporters": str(alert["reporters"]),
            "incident": alert["incident_id"],
        }

    @property
    def style(self) -> str:
        return "dim" if self.expired else COLOURS.get(self.alert["severity"], "")


def parse(value: bytes | None) -> Alert | None:
    """An alert, or None for a tombstone and for what is no alert."""
    try:
        alert = json.loads(value or b"null")
    except ValueError:
        return None
    return alert if isinstance(alert, dict) and alert.keys() >= NEEDED else None


def line(alert: Alert) -> str:
    """One alert as one line for people; times are UTC.

    >>> line({"updated_at": "2025-03-04T07:42:13.000Z", "status": "opened", "kind": "stationary_vehicle",
    ...       "severity": "Moderate", "certainty": "Likely", "reporters": 7, "incident_id": "5d0c7f3a91b2e846",
    ...       "location": {"lat": 22.5533, "lon": 114.0989, "heading": 61.2}})
    '07:42:13 OPENED   stationary_vehicle      Moderate/Likely    22.5533,114.0989   61°  7 reporters  5d0c7f3a91b2e846'
    """
    grave = f"{alert['severity']}/{alert['certainty']}"
    plural = "" if alert["reporters"] == 1 else "s"
    return (
        f"{_clock(alert['updated_at'])} {alert['status'].upper():8} {alert['kind']:23} {grave:18} "
        f"{_place(alert):16} {_heading(alert):>5}  {alert['reporters']} reporter{plural}  {alert['incident_id']}"
    )


def watch(settings: Settings) -> None:
    """Show open incidents until Ctrl-C: a live table on a terminal, else a line for each change. Raises BrokerError."""
    console = Console()
    incidents = OpenIncidents()
    with noted() as interrupt, Reader(settings, settings.outputs.incidents) as reader, suppress(KeyboardInterrupt):
        if console.is_terminal:
            _show_table(console, reader, incidents, interrupt)
        while True:
            interrupt.check()
            for alert in incidents.take(reader.read(0.25)):
                print(alert["updated_at"][:10], line(alert), flush=True)  # it may be read days later


def _show_table(console: Console, reader: Reader, incidents: OpenIncidents, interrupt: Interrupt) -> None:
    with Live(_table(incidents.rows(_now()), console.width), console=console, auto_refresh=False, screen=True) as live:
        drawn = time.monotonic()
        while True:
            interrupt.check()
            if incidents.take(reader.read(0.25)) or time.monotonic() - drawn > 1.0:
                live.update(_table(incidents.rows(_now()), console.width), refresh=True)
                drawn = time.monotonic()


def _table(rows: Sequence[Row], width: int) -> Table:
    old = sum(row.expired for row in rows)
    title = f"{len(rows) - old} open incident{'' if len(rows) - old == 1 else 's'} (times in UTC; Ctrl-C ends)"
    if old:
        title += f"\n{old} not cleared, but expired: see whether the worker runs, and is fed"
    table = Table(title=title, title_justify="left")
    room = dict(zip(WIDTHS, accumulate(chars + FRAME for chars in WIDTHS.values()), strict=True))
    shown = [name for name in COLUMNS if room[name] < width]
    for name in shown:
        table.add_column(name, no_wrap=True, min_width=WIDTHS[name])
    for row in rows:
        cells = row.cells
        table.add_row(*(cells[name] for name in shown), style=row.style)
    return table


def _now() -> int:
    return int(time.time() * 1000)


def _clock(moment: str) -> str:
    """
    >>> _clock("2025-03-04T07:42:13.000Z")
    '07:42:13'
    """
    return moment[11:19]


def _place(alert: Alert) -> str:
    place = alert["location"]
    return "nowhere known" if place["lat"] is None else f"{place['lat']:.4f},{place['lon']:.4f}"


def _heading(alert: Alert) -> str:
    heading = alert["location"]["heading"]
    return "" if heading is None else f"{heading:.0f}°"
