"""Bad weather on the road: what roadside sensors measure, and what drivers answer with wipers and fog lights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from detectors.model import Finding, Frame, Sign, Surface
from detectors.passers import Passers
from detectors.signs import said
from detectors.surprise import Cluster, Surprise, witnesses

FOG = 200.0  # m: China's road traffic rules (art. 81) ask for 60 km/h and 100 m of distance below it
FOG_OVER = 300.0  # m: half as much again, or a bank of fog at the limit would open and clear for hours
DENSE_FOG = 50.0  # m: art. 81 again, 20 km/h and off the motorway
GALE = 17.2  # m/s: Beaufort 8, where walking is an effort and high vehicles are pushed about
GALE_OVER = 13.9  # m/s: Beaufort 7 ends
HURRICANE = 32.7  # m/s: Beaufort 12
HURRICANE_OVER = 28.5  # m/s: Beaufort 10 ends, so that gusts at the limit do not take turns
DOWNPOUR = 50.0  # mm/h: a violent shower by the Met Office's scale
DOWNPOUR_OVER = 10.0  # mm/h: its heavy shower begins
SLIPPERY = 0.30  # friction: packed snow and ice are below, a wet clean road is above (Finnra's classes)
SLIPPERY_OVER = 0.35
FREEZING = 0.0  # degrees Celsius
THAWED = 3.0  # degrees Celsius: a surface this warm carries no ice, whatever the device says
VALID = 3  # collection intervals that a measurement is believed for
LEAST, MOST = 60_000, 1_800_000  # ms: but no shorter and no longer than this
FIRST = 220_000.0  # ms: the interval of a device that names none, until it speaks again: VALID of them cover ten minutes
REACH = 500.0  # m: what a device speaks for; fog banks and showers are wider, cold spots are not
SURE = 6.0  # -log10 equivalent of a measurement at its threshold: a calibrated device errs rarely
EVERY = 10_000  # ms between repetitions of a finding

ICY: dict[int, int] = {Surface.ICE: 5, Surface.SNOW: 4, Surface.SLUSH: 4, Surface.FROST: 1}  # DENM sub-causes of adhesion
WATER: set[int] = {Surface.MOIST, Surface.WET}
BLACK_ICE = 6  # DENM adhesion
FOG_BANK, HEAVY_RAIN = 1, 4  # DENM visibility
STRONG_WIND, HURRICANE_WIND = 1, 3  # DENM extreme weather

LIGHTS_RATE = 0.01  # chance that one on an ordinary road has rear fog lights on: an assumption, its own days correct it
WIPERS_RATE = 0.05  # in dry weather: washing the windscreen, and forgotten ones
AGAIN = 60_000  # ms after which a lamp that is still on is a new witness
DRIVERS = 3  # fog lights
WET_DRIVERS = 5  # wipers: a drizzle is no hazard, so more of them, and most of those who pass
SURPRISE = 5.0  # -log10
MOST_WIPE = 0.8  # share: in heavy rain everybody does; the count of those who pass is an estimate


class Claim(NamedTuple):
    """One thing that one device measured: what it means, how grave in units of the threshold, and the number."""

    kind: str
    subcause: int
    score: float
    name: str
    value: float


class Weather:
    """Visibility, extreme weather and adhesion. A device is one reporter; drivers count as they pass."""

    kinds: ClassVar[tuple[str, ...]] = ("visibility", "extreme_weather", "adhesion")

    def __init__(self) -> None:
        # device, kind -> since when, until when it holds, lat, lon, heading, what
        self._claims: dict[tuple[int, str], tuple[int, int, float, float, float, Claim]] = {}
        self._heard: dict[int, tuple[int, float]] = {}  # device -> when it spoke last, and after how long; ms
        self._passers = Passers()
        self._lights = Surprise(LIGHTS_RATE, self._passers)
        self._wipers = Surprise(WIPERS_RATE, self._passers)
        self._said = 0  # ms

    def update(self, frame: Frame) -> list[Finding]:
        if frame.end - self._said < EVERY and not len(frame.sensors):
            return []
        self._said = frame.end
        self._claims = {k: v for k, v in self._claims.items() if v[1] >= frame.start}  # first: what is over is not taken up
        for row in frame.sensors:
            self._measure(row)
        self._heard = {device: heard for device, heard in self._heard.items() if heard[0] > frame.end - MOST}
        return [*self._from_devices(frame.end), *self._from_drivers(frame)]

    def _measure(self, row: np.void) -> None:
        device, time = int(row["reporter"]), int(row["time"])
        last, interval = self._heard.get(device, (time, FIRST))
        if time > last:  # some tell what they measure at one moment in several messages
            last, interval = time, time - last
        self._heard[device] = last, interval
        interval = _known(1000.0 * row["interval"], interval)
        holds = time + int(min(MOST, max(LEAST, VALID * interval)))
        lat, lon, heading = float(row["lat"]), float(row["lon"]), float(row["heading"]) % 360.0
        held = {kind: self._claims[device, kind][-1].subcause for kind in self.kinds if (device, kind) in self._claims}
        claims = {c.kind: c for c in read(row, held)}
        unsaid = _unsaid(row)
        for kind in self.kinds:
            if kind in unsaid:
                continue
            claim, old = claims.get(kind), self._claims.pop((device, kind), None)
            if claim is not None:
                since = old[0] if old is not None else time
                self._claims[device, kind] = (since, holds, lat, lon, heading, claim)

    def _from_devices(self, now: int) -> Iterable[Finding]:
        for (device, _), (since, _, lat, lon, heading, claim) in sorted(self._claims.items()):
            yield Finding(
                claim.kind,
                now,
                since,
                lat,
                lon,
                heading if claim.kind == "adhesion" else float("nan"),  # weather has no direction
                REACH,
                claim.score,
                frozenset((device,)),
                ((claim.name, round(claim.value, 2)),),
                claim.subcause,
            )

    def _from_drivers(self, frame: Frame) -> Iterable[Finding]:
        rows = frame.observations
        if not self._passers.tick(rows, frame.start, frame.end):
            return
        for surprise, sign in ((self._lights, int(Sign.FOG_LIGHTS)), (self._wipers, int(Sign.WIPERS))):
            surprise.age(frame.end)
            if said(rows) & sign:
                surprise.hear(witnesses(rows[((rows["signs"] & sign) != 0) & (rows["heading"] >= 0.0)]), AGAIN)
        for c in self._lights.clusters(DRIVERS, frame.end):
            if c.score >= SURPRISE:
                yield _drivers(c, frame.end, "fog_lights", FOG_BANK)
        for c in self._wipers.clusters(WET_DRIVERS, frame.end):
            if c.score >= SURPRISE and c.said >= MOST_WIPE * c.passed:
                yield _drivers(c, frame.end, "wipers", HEAVY_RAIN)


def read(row: np.void, held: Mapping[str, int]) -> Iterable[Claim]:
    """What one reading of a device claims; `held` are kinds and sub-causes of before, which take more to let go."""
    visibility, wind, rain = float(row["visibility"]), float(row["wind"]), float(row["precipitation"])
    if visibility < (FOG_OVER if "visibility" in held else FOG):  # NaN is not
        yield Claim("visibility", FOG_BANK, SURE * min(2.0, FOG / max(visibility, 1.0)), "visibility_m", visibility)
    extreme = "extreme_weather" in held
    if wind >= (HURRICANE_OVER if held.get("extreme_weather") == HURRICANE_WIND else HURRICANE):
        yield Claim("extreme_weather", HURRICANE_WIND, 2.0 * SURE, "wind_mps", wind)  # it leads, whoever spoke first
    elif wind >= (GALE_OVER if extreme else GALE):
        yield Claim("extreme_weather", STRONG_WIND, SURE, "wind_mps", wind)
    elif rain >= (DOWNPOUR_OVER if extreme else DOWNPOUR):
        yield Claim("extreme_weather", 0, SURE, "precipitation_mm_h", rain)
    yield from _adhesion(row, "adhesion" in held)


def _unsaid(row: np.void) -> set[str]:
    """The kinds of which a reading says nothing at all: what was measured before still holds."""
    missing = {name for name in row.dtype.names or () if row.dtype[name].kind == "f" and np.isnan(row[name])}
    needs = {
        "visibility": {"visibility"},
        "extreme_weather": {"wind", "precipitation"},
        "adhesion": {"friction", "surface_temperature"},
    }
    unsaid = {kind for kind, names in needs.items() if names <= missing}
    return unsaid if int(row["surface"]) == Surface.UNKNOWN else unsaid - {"adhesion"}


def _adhesion(row: np.void, held: bool) -> Iterable[Claim]:
    surface, temperature = int(row["surface"]), float(row["surface_temperature"])
    friction, rain = float(row["friction"]), float(row["precipitation"])
    cold = not temperature >= THAWED  # not known is not warm
    if friction < (SLIPPERY_OVER if held else SLIPPERY):
        subcause = ICY.get(surface, 0) if cold else 0
        yield Claim("adhesion", subcause, SURE * min(2.0, SLIPPERY / max(friction, 0.05)), "friction", friction)
    elif surface in ICY and cold and not friction > SLIPPERY_OVER:
        yield Claim("adhesion", ICY[surface], SURE, "surface", float(surface))
    elif temperature < FREEZING and (surface in WATER or rain > 0.0) and not friction > SLIPPERY_OVER:
        yield Claim("adhesion", BLACK_ICE, SURE, "surface_temperature_c", temperature)


def _drivers(c: Cluster, now: int, name: str, subcause: int) -> Finding:
    evidence = tuple(sorted(((name, float(c.said)), ("passed", round(c.passed, 1)))))
    where = (c.lat, c.lon, float("nan"), c.radius)
    return Finding("visibility", now, c.onset, *where, c.score, c.reporters, evidence, subcause)


def _known(value: float, otherwise: float) -> float:
    return otherwise if np.isnan(value) else float(value)
