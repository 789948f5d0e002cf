"""A made-up worker that reports every metric there is, to look at the dashboard and the rules without any traffic."""

from __future__ import annotations

import random

from dataflows.formats.base import Reason
from dataflows.health import Health
from dataflows.metrics import Metrics
from detectors.model import Doubt

INPUTS = {
    "v2x.observations": "observation",
    "v2x.ode-bsm": "ode-json",
    "ev.gbt32960": "gbt32960",
    "roadside.sensors": "sensor",
}
OUTPUTS = ("road.alerts", "road.incidents", "road.cells", "road.dead-letters")
DETECTORS = ("HardBraking", "StationaryTraffic", "WrongWay", "Plausibility")


class PretendWorker:
    """Call `second` once for every second of its life; the same seed gives the same life."""

    def __init__(self, metrics: Metrics, health: Health, seed: int = 7) -> None:
        self._metrics = metrics
        self._health = health
        self._random = random.Random(seed)
        metrics.expect(
            inputs=INPUTS, outputs=OUTPUTS, formats=INPUTS.values(), detectors=DETECTORS, steps=("windows", "incidents")
        )
        health.assigned(2 * len(INPUTS))
        health.broker(True)

    def second(self, now: float) -> None:
        """One second of traffic up to `now`, in seconds since the epoch: a few of everything, and some trouble."""
        say, draw = self._metrics, self._random
        self._health.beat()
        say.paused(draw.uniform(0.001, 0.05))
        for topic, form in INPUTS.items():
            for partition in range(2):
                self._poll(topic, partition, form, now)
        say.dropped(late=draw.randrange(3), duplicates=draw.randrange(5))
        say.implausible({Doubt.CONSTANT_POSITION: draw.randrange(4), Doubt.MANY_IDENTITIES: draw.randrange(2)})
        say.detected(64, {name: draw.uniform(0.005, 0.02) for name in DETECTORS}, {"dangerous_situation": draw.randrange(2)})
        say.merged(int(now) * 1000 - 3000)
        say.incidents("all", {("dangerous_situation", "Severe"): draw.randrange(4), ("adhesion", "Moderate"): 1})
        say.alerted("dangerous_situation", "Severe", draw.choice(("opened", "updated", "cleared")), draw.uniform(0.02, 0.3))
        for topic in OUTPUTS:
            say.delivered(topic, 1 + draw.randrange(3))
        if int(now) % 10 == 0:
            for shard in range(64):
                say.state(str(shard), {name: 20_000 + draw.randrange(5000) for name in DETECTORS})
                say.snapshot("windows", draw.uniform(0.001, 0.004), 60_000)
            say.snapshot("incidents", draw.uniform(0.001, 0.004), 4000)
        if int(now) % 60 == 0:
            say.detector_failed("WrongWay")
            say.delivery_failed("road.alerts")
            say.lost("v2x.ode-bsm", 1)

    def _poll(self, topic: str, partition: int, form: str, now: float) -> None:
        say, draw = self._metrics, self._random
        messages = 200 + draw.randrange(100)
        late, no_place, recognised = draw.randrange(4), draw.randrange(3), draw.randrange(10)
        say.polled(
            topic,
            partition,
            format=form,
            messages=messages,
            size=messages * 220,
            seconds=messages * 2e-6,
            received=messages,
            accepted=messages - late - no_place,
            late=late,
            refused={Reason.NO_POSITION: no_place},
            recognised=recognised,
            speechless=messages // 200,
        )
        say.dead_letters({Reason.NO_POSITION: no_place})
        idle = form == "sensor" and partition == 1
        say.watermark(topic, partition, int(now * 1000) - 2000 - draw.randrange(500), idle=idle)
        say.waits(topic, partition, form == "observation" and partition == 1)
        say.unreadable(topic, partition, form == "gbt32960" and partition == 1)
        say.lag(topic, partition, draw.randrange(50))
