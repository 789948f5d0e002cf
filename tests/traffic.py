"""Made-up traffic that gives alerts of many kinds in a few minutes: seeded, in three formats, in the order of arrival.

Not a judge of detectors (benchmarks.score is): it only has to make every path of the graph carry something.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from dataflows.formats import encode

T0 = 1_741_073_400_000  # ms
LAT, LON = 22.40, 113.90
METRE = 1 / 111_195  # degrees of latitude
NAN = float("nan")
ROADS = 6  # northbound, 6 km apart, so that several shards have some
LENGTH = 9000.0  # m
Partitions = dict[str, list[tuple[int, bytes]]]


def files(folder: Path, seconds: int = 420, seed: int = 1, vehicles: int = 90) -> list[tuple[str, str]]:
    """Write five recordings, (path, format name) each: V2X in three partitions, EVs, roadside sensors."""
    return write(folder, partitions(seconds, seed, vehicles))


def partitions(seconds: int = 420, seed: int = 1, vehicles: int = 90, chapters: int = 1) -> Partitions:
    """(arrival in ms, message) in the order of arrival, by partition: v0, v1, v2, e0, s0.

    A vehicle crashes once at most, so what is to last has chapters, one after the other, each with a fleet of its own.
    """
    arrivals: Partitions = {}
    dice = random.Random(seed)
    for chapter in range(chapters):
        for partition, arrival, message in _messages(T0 + chapter * seconds * 1000, seconds, vehicles, dice):
            arrivals.setdefault(partition, []).append((arrival, message))
    for found in arrivals.values():
        found.sort()
    return dict(sorted(arrivals.items()))


def write(folder: Path, recorded: Partitions) -> list[tuple[str, str]]:
    """One file a partition: (path, format name) each."""
    made = []
    for partition, found in recorded.items():
        form = {"e": "gbt32960", "s": "sensor"}.get(partition[0], "observation")
        path = folder / f"{partition}.{'hex' if form == 'gbt32960' else 'jsonl'}"
        path.write_bytes(b"".join((m.hex().encode() if form == "gbt32960" else m) + b"\n" for _, m in found))
        made.append((str(path), form))
    return made


def _messages(start: int, seconds: int, vehicles: int, dice: random.Random) -> Iterator[tuple[str, int, bytes]]:
    for vehicle in range(vehicles):
        yield from _drive(start, vehicle, seconds, dice)
    for vehicle in range(vehicles // 7):
        yield from _charge(start, vehicle, seconds, dice)
    for station in range(4):
        for at in range(30, seconds, 15):
            time = start + at * 1000
            fog = 80.0 if station == 1 and at >= 60 else 9000.0
            ice = 0.1 if station == 2 and at < 60 else 0.8  # over, and cleared, before the fog
            place = {"lat": LAT + 0.02 * station, "lon": LON}
            message = encode.road_weather(time=time, id=f"weather-{station}", visibility=fog, friction=ice, **place)
            yield "s0", time + 400, message
    for at in range(35, seconds, 5):
        yield "s0", start + at * 1000 + 400, _count(start + at * 1000, at, left=at >= 345)


def _count(time: int, at: int, left: bool) -> bytes:
    """A loop counts by lane every 5 s; later on one lane is left."""
    passed = 6 + at // 5 % 3  # in all, of which a third took the first lane
    first = 0 if left else passed / 3
    lanes = [(first * 720.0, 24.0 if first else NAN), ((passed - first) * 720.0, 27.0)]
    return encode.traffic_sensor(time=time, id="loop-0", lat=LAT + 0.01, lon=LON, heading=0.0, interval=5.0, lanes=lanes)


def _drive(start: int, vehicle: int, seconds: int, dice: random.Random) -> Iterator[tuple[str, int, bytes]]:
    """1 Hz up one road at 20 m/s and more; one vehicle in nine ends in a crash with its airbag out, and stands."""
    road, speed, where = vehicle % ROADS, dice.uniform(20, 30), dice.uniform(0, LENGTH)
    crash = dice.randrange(30, seconds) if vehicle % 9 == 0 else None
    name = f"{dice.getrandbits(32):08x}"
    for at in range(seconds):
        standing = crash is not None and at >= crash
        accel = -8.0 if crash is not None and 0 <= at - crash < 2 else dice.gauss(0, 0.4)
        where += 0 if standing else speed
        if where > LENGTH:
            where, name = 0.0, f"{dice.getrandbits(32):08x}"
        time = start + at * 1000 + dice.randrange(1000)
        arrival = time + 30 + int(dice.expovariate(1 / 300))
        fields: dict[str, object] = {
            "id": name,
            "ts": time,
            "rx": arrival,
            "lat": round(LAT + where * METRE, 6),
            "lon": round(LON + 0.06 * road, 6),
            "v": 0.0 if standing else round(speed, 2),
            "hdg": 0.5,
            "ax": round(accel, 2),
        }
        fields |= {"ev": 1} if accel < -3.92 else {}
        fields |= {"ab": 1} if standing and crash is not None and at - crash < 30 else {}
        fields |= {"abs": 1} if dice.random() < 0.0004 else {}
        if dice.random() < 0.003:
            fields["lat"] = 91.0  # refused
        yield f"v{vehicle % 3}", arrival, json.dumps(fields).encode()


def _charge(start: int, vehicle: int, seconds: int, dice: random.Random) -> Iterator[tuple[str, int, bytes]]:
    """An EV every 10 s; one in four reports a battery that is too hot for a while."""
    for at in range(vehicle % 10, seconds, 10):
        time = start + at * 1000
        hot = vehicle % 4 == 0 and 40 < at < 90
        cells = [round(3.3 + dice.uniform(0, 0.01), 3) for _ in range(24)]
        message = encode.gbt32960_realtime(
            time=time,
            vin=f"LTESTVEHICLE{vehicle:05d}",
            lat=LAT + 0.03 * (vehicle % 3),
            lon=LON + 0.06 * (vehicle % ROADS),
            speed=0.0,
            mileage=1000.0,
            soc=0.6,
            voltage=80.0,
            current=0.0,
            insulation=5e6,
            cells=cells,
            temperatures=[66.0 if hot else 28.0, 27.0],
            alarms=1 << 1 if hot else 0,
            alarm_level=3 if hot else 0,
        )
        yield "e0", time + 500, message
