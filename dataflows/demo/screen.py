"""What a person sees while the recording plays: a line for each change of an incident, and one that says how it goes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dataflows.demo.page import Page
from dataflows.watch import COLOURS, Alert, line

PLAIN_EVERY = 10.0  # s between status lines where there is no terminal to redraw one on


class Screen:
    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(Text(""), console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._received = 0.0
        self._at = self._told = time.monotonic()
        self._rate = 0.0
        self._shown: dict[str, tuple[str, ...]] = {}  # what each incident was when it was last shown

    def alert(self, alert: Alert) -> None:
        """Show it, unless nothing changed but the place or the number of reporters: a car that drives on is no news here."""
        meaning = (alert["kind"], alert["severity"], alert["certainty"])
        if alert["status"] == "updated" and self._shown.get(alert["incident_id"]) == meaning:
            return
        self._shown[alert["incident_id"]] = meaning
        style = "dim" if alert["status"] != "opened" else COLOURS.get(alert["severity"], "")
        self.console.print(Text(line(alert), style=style), soft_wrap=True)

    def status(self, page: Page, sent: int) -> None:
        """Say how it goes; to be called a few times a second."""
        now, received = time.monotonic(), page.total("received_messages_total")
        if now > self._at and received > self._received:
            self._rate += 0.3 * ((received - self._received) / (now - self._at) - self._rate)  # smoothed, or nobody can read it
        self._at, self._received = now, received
        complete = page.total("pane_end_timestamp_seconds")
        clock = datetime.fromtimestamp(complete, UTC).strftime("%H:%M:%S") if complete > 0 else "--:--:--"
        waiting, still_open = max(0, sent - received), page.total("incidents_open")
        text = f"watermark {clock} · {self._rate:,.0f} messages/s · {received:,.0f} read, {waiting:,.0f} waiting"
        text += f" · {still_open:.0f} open"
        if self._live is not None:
            self._live.update(Text(text, style="reverse"), refresh=True)
        elif now - self._told >= PLAIN_EVERY:
            self._told = now
            self.console.print(f"-- {text}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
