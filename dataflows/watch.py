"""`roadwatch watch`: the open incidents as a live table, from the compacted topic that keeps each one's newest state."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dataflows.interrupt import Interrupt, noted
from dataflows.settings import Settings
from dataflows.tap import Reader, Received

Alert = Mapping[str, Any]  # as schema/alert.schema.json has it
ACTUAL = "Actual"  # the only cap_status to act on
GRAVE = {"Extreme": 0, "Severe": 1, "Moderate": 2, "Minor": 3, "Unknown": 4}
COLOURS = {"Extreme": "bold red", "Severe": "red", "Moderate": "yellow", "Minor": "cyan", "Unknown": "dim"}
NEEDED = {"incident_id", "sequence", "status", "kind", "severity", "certainty"}
NEEDED |= {"detected_at", "onset_at", "updated_at", "expires_at", "location", "reporters"}
COLUMNS = (
    *("cap_status", "kind", "severity", "certainty", "began", "opened", "last change", "valid until"),
    *("place", "heading", "radius", "reporters", "incident"),
)
WIDTHS = {  # characters, the column that is missed most first: on a narrow terminal the last ones are left out
    "cap_status": 10,  # only while something is not Actual
    "kind": 22,
    "severity": 8,
    "place": 19,
    "last change": 11,
    "valid until": 11,
    "reporters": 9,
    "certainty": 9,
    "opened": 11,
    "incident": 16,
    "heading": 7,
    "radius": 7,
    "began": 11,
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
        day = datetime.fromtimestamp(now / 1000, UTC).date().isoformat()
        rows = [Row(said.alert, said.expired(now), day) for said in self._said.values()]
        rows.sort(key=lambda row: row.alert["updated_at"], reverse=True)
        return sorted(rows, key=lambda row: (row.expired, GRAVE.get(row.alert["severity"], 9)))


class Row(NamedTuple):
    """One incident of the table."""

    alert: Alert
    expired: bool  # nothing was said of it for longer than it is valid
    day: str  # today's date, in UTC

    @property
    def trial(self) -> str:
        return _trial(self.alert)

    @property
    def cells(self) -> dict[str, str]:
        alert, radius = self.alert, self.alert["location"].get("radius_m")
        return {
            "cap_status": self.trial or ACTUAL,
            "kind": alert["kind"],
            "severity": alert["severity"],
            "certainty": alert["certainty"],
            "began": _moment(alert["onset_at"], self.day),
            "opened": _moment(alert["detected_at"], self.day),
            "last change": "expired" if self.expired else _moment(alert["updated_at"], self.day),
            "valid until": _moment(alert["expires_at"], self.day),
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
    """One alert as one line for people; times are UTC. One that is not Actual says so before all else.

    >>> accident = {"cap_status": "Actual", "status": "opened", "kind": "accident", "severity": "Severe", "certainty": "Likely",
    ...             "updated_at": "2025-03-04T23:55:13.000Z", "expires_at": "2025-03-05T00:05:13.000Z", "reporters": 7,
    ...             "location": {"lat": 22.5533, "lon": 114.0989, "heading": 61.2}, "incident_id": "5d0c7f3a91b2e846"}
    >>> line(accident)[:79]
    '23:55:13 OPENED  accident               Severe/Likely     until 03-05 00:05 22.'
    >>> line(accident | {"cap_status": "Exercise", "expires_at": "2025-03-04T23:59:13.000Z"})[:89]
    '23:55:13 EXERCISE OPENED  accident               Severe/Likely     until 23:59:13    22.5'
    """
    day, now = alert["updated_at"][:10], alert["updated_at"][11:19]
    status = f"{_trial(alert)} {alert['status'].upper():7}".lstrip()
    grave = f"{alert['severity']}/{alert['certainty']}"
    until = "" if alert["status"] == "cleared" else f"until {_moment(alert['expires_at'], day)}"
    plural = "" if alert["reporters"] == 1 else "s"
    return (
        f"{now} {status} {alert['kind']:22} {grave:17} {until:17} "
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
    old, trials = sum(row.expired for row in rows), sum(bool(row.trial) for row in rows)
    title = f"{len(rows) - old} open incident{'' if len(rows) - old == 1 else 's'} (times in UTC; Ctrl-C ends)"
    if old:
        title += f"\n{old} not cleared, but expired: see whether the worker runs, and is fed"
    if trials:
        title += f"\n{trials} not to be acted upon: cap_status is not {ACTUAL}"
    table = Table(title=title, title_justify="left")
    widths = {name: chars for name, chars in WIDTHS.items() if trials or name != "cap_status"}
    room = dict(zip(widths, accumulate(chars + FRAME for chars in widths.values()), strict=True))
    shown = [name for name in COLUMNS if room.get(name, width) < width]
    for name in shown:
        table.add_column(name, no_wrap=True, min_width=WIDTHS[name])
    for row in rows:
        cells = {name: Text(said) for name, said in row.cells.items()}
        cells["cap_status"].style = "reverse" if row.trial else ""
        table.add_row(*(cells[name] for name in shown), style=row.style)
    return table


def _now() -> int:
    return int(time.time() * 1000)


def _moment(moment: str, day: str) -> str:
    """The time of day on `day`, and of another day its month, day and minute: no wider than 11 characters.

    >>> [_moment("2025-03-04T07:42:13.000Z", day) for day in ("2025-03-04", "2025-03-05")]
    ['07:42:13', '03-04 07:42']
    """
    return moment[11:19] if moment.startswith(day) else f"{moment[5:10]} {moment[11:16]}"


def _trial(alert: Alert) -> str:
    """What it is said for, in capitals, where nobody is to act on it; empty for what is Actual.

    >>> [_trial(alert) for alert in ({"cap_status": "Exercise"}, {"cap_status": "Actual"}, {})]
    ['EXERCISE', '', 'UNKNOWN']
    """
    status: str = alert.get("cap_status", "unknown")
    return "" if status == ACTUAL else status.upper()


def _place(alert: Alert) -> str:
    place = alert["location"]
    return "nowhere known" if place["lat"] is None else f"{place['lat']:.4f},{place['lon']:.4f}"


def _heading(alert: Alert) -> str:
    heading = alert["location"]["heading"]
    return "" if heading is None else f"{heading:.0f}°"
