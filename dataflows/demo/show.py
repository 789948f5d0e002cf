"""`roadwatch demo`: the bundled recording through a real broker and the real worker, and what came of it, in two minutes."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

from rich.console import Console

from dataflows.broker import NoBrokerError, embedded_broker
from dataflows.demo import recording
from dataflows.demo.page import Page
from dataflows.demo.player import Player
from dataflows.demo.screen import Screen
from dataflows.demo.stage import DemoError, Stage, stage
from dataflows.demo.summary import Counts, summary
from dataflows.demo.without_broker import replay_recording
from dataflows.interrupt import Interrupt, noted
from dataflows.kafka_admin import BrokerError
from dataflows.tap import Reader, Received
from dataflows.watch import Alert, parse

LOOK = 0.5  # s between looks at the worker's page
CATCHES_UP = 60.0  # s that the worker may take for what waits when the recording is over
DRAINED = 1.0  # s of silence after which a topic has nothing more to say

NEXT = "make score and make bench measure; README.md tells the way of a message"
STAYS = "KEEP=1 make run stays up for a look at the page and at open incidents; "


def demo(speed: float, keep: bool) -> int:
    """Play the recording at `speed` times real time; `keep` stays up when it is over. Returns the exit code."""
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="roadwatch-demo-") as name:
            try:
                with noted() as interrupt, embedded_broker() as broker:
                    _with_broker(console, broker, Path(name), speed, keep, interrupt)
            except NoBrokerError as error:
                console.print(f"{error}.\nSo the recording is replayed without one, as fast as it goes.\n", highlight=False)
                _without_broker(console, Path(name))
    except (DemoError, BrokerError) as error:
        console.print(f"roadwatch demo: {error}", style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; broker and worker are gone")
        return 130
    return 0


def _with_broker(console: Console, broker: str, directory: Path, speed: float, keep: bool, interrupt: Interrupt) -> None:
    with stage(broker, directory, interrupt) as built:
        _say(
            console,
            f"a Kafka broker at {broker}, the worker with its metrics at {built.url}/metrics",
            f"{recording.MINUTES} minutes of a motorway as one vehicle in seven saw them, at {speed:g} times real time",
            "on the wire: ODE JSON, compact JSON, GB/T 32960, WZDx; one message in 5,000 is damaged on purpose",
            f"records that come more than {built.settings.window.lateness / 1000:g} s late are counted and not used",
            "times are the recording's, in UTC; updates that change no more than place and number are not shown",
            "",
        )
        player = Player(built.settings, built.topics, recording.messages(), speed)
        outputs = built.settings.outputs
        with Reader(built.settings, outputs.alerts, outputs.dead_letters) as reader, Screen(console) as screen:
            seen = Seen(built, screen)
            player.start()
            try:
                page = _follow(built, player, reader, seen, screen)
            finally:
                player.stop()
            if not keep:
                built.stop()
            _drain(reader, seen)
        _say(console, "", *summary(Counts.of(page, player.seconds, seen.dead_letters), seen.alerts), "")
        if keep:
            _stay(console, built, broker)
        _say(console, f"the metrics page was {built.url}/metrics; next: {'' if keep else STAYS}{NEXT}")


class Seen:
    """What came out of the worker so far, shown as it comes."""

    def __init__(self, built: Stage, screen: Screen) -> None:
        self.alerts: list[Alert] = []
        self.dead_letters = 0
        self._alerts_topic = built.settings.outputs.alerts
        self._screen = screen

    def take(self, received: list[Received]) -> None:
        for message in received:
            if message.topic != self._alerts_topic:
                self.dead_letters += 1
            elif (alert := parse(message.value)) is not None:
                self.alerts.append(alert)
                self._screen.alert(alert)


def _follow(built: Stage, player: Player, reader: Reader, seen: Seen, screen: Screen) -> Page:
    """Show what comes until the worker has everything that was sent. Returns its page then."""
    looked, page, over = 0.0, Page(), None
    while True:
        built.interrupt.check()
        seen.take(reader.read(0.1))
        now = time.monotonic()
        if now - looked < LOOK:
            continue
        looked, page = now, built.page()
        screen.status(page, player.sent)
        if player.failed is not None:
            raise player.failed
        if not player.is_alive():
            over = over or now
            if built.caught_up(page, player.sent):
                return page
            if now - over > CATCHES_UP:
                raise DemoError(f"the worker still reads {CATCHES_UP:.0f} s after the end; try make run SPEED=10")


def _drain(reader: Reader, seen: Seen) -> None:
    """Take what is still on its way."""
    last = time.monotonic()
    while time.monotonic() - last < DRAINED:
        if received := reader.read(0.1):
            last = time.monotonic()
            seen.take(received)


def _stay(console: Console, built: Stage, broker: str) -> None:
    """Broker, worker and metrics stay up with nothing more to read, until Ctrl-C or until the worker ends."""
    _say(
        console,
        f"staying up until Ctrl-C: broker {broker}, metrics {built.url}/metrics; the recording is over and is not repeated",
        f"try: ROADWATCH_KAFKA__BOOTSTRAP_SERVERS={broker} .venv/bin/roadwatch watch",
    )
    while not built.interrupt.asked:
        built.check()
        time.sleep(LOOK)


def _without_broker(console: Console, directory: Path) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the directory must not stay behind
    with Screen(console) as screen:
        alerts, counts = replay_recording(directory)
        for alert in alerts:
            screen.alert(alert)
    _say(console, "", *summary(counts, alerts), "", NEXT)


def _say(console: Console, *lines: str) -> None:
    for text in lines:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
