"""Twenty minutes of the soak without a broker: few names are known at any time, and silent towns are forgotten."""

from __future__ import annotations

import numpy as np

from dataflows.formats import FORMATS
from dataflows.formats.base import Pseudonym
from tests import soak_traffic
from tests.remembered import remembered
from tests.simulation import Input, World
from tests.soak import check_forgotten
from tests.soak_traffic import Message, Town

FORMS = {"v2x": "observation", "ev": "gbt32960", "sensors": "sensor"}
END = 1200  # s
NINE_DAYS = 9 * 86_400  # s
POLL = 10  # s of traffic
KEPT = 90 + 30 + POLL + 2  # s: what a track outlives its vehicle, the time between two sweeps, and what is not closed yet


def test_the_number_of_names_is_bounded_and_the_silent_are_forgotten() -> None:
    lasting = Town(2, 2, 0, END, 1)
    towns = [Town(0, 0, 0, 360, 1), Town(1, 1, 120, 480, 1), lasting]
    world, heard, counts = World([Input(name, FORMATS[form], []) for name, form in FORMS.items()], 1), dict[str, int](), []
    home = world.shards[world.grid.owner(world.grid.cell(*soak_traffic.centre(lasting.place)))]
    said: list[Message] = []
    for at, messages in enumerate(soak_traffic.play(towns, range(END), heard), 1):
        said += messages
        if at % POLL == 0:
            feed(world, said)
            said = []
            counts.append(len(home.plausibility._tracks))
    now = soak_traffic.T0 + END * 1000
    reporters = {Pseudonym(b"key")(name): last for name, last in heard.items()}
    lately = sum(last > now - KEPT * 1000 for name, last in heard.items() if len(name) == 8)
    assert soak_traffic.VEHICLES < counts[-1] <= lately < len(heard) / 4
    assert max(counts[len(counts) // 2 :]) <= 1.25 * max(counts[: len(counts) // 2])
    check_forgotten(remembered(world.shards, reporters, now))
    assert world.alerts
    later = Town(3, lasting.place, END + NINE_DAYS, END + NINE_DAYS + 60, 1)
    feed(world, [m for messages in soak_traffic.play([later], range(later.begin, later.end), heard) for m in messages])
    reporters = {Pseudonym(b"key")(name): last for name, last in heard.items()}
    known = remembered(world.shards, reporters, soak_traffic.T0 + later.end * 1000)
    assert max(silent for _, silent in known.values()) < NINE_DAYS, f"shards that sleep do not forget: {known}"


def feed(world: World, said: list[Message]) -> None:
    """One poll of each topic, and all that follows from it."""
    for topic in FORMS:
        mine = [message for message in said if message.topic == topic]
        arrivals = np.array([message.arrival for message in mine])
        world.send(topic, world.intakes[topic].take([message.value for message in mine], arrivals, range(len(mine))))
    for (_, number), waiting in world.to_shard.items():
        for chunk in waiting:
            world.shards[number].add(chunk)
    world.to_shard.clear()
    for shard in world.shards.values():
        report = shard.close()
        if report is not None:
            world.merge.add(report)
    world.say()
