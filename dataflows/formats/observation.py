"""roadwatch's own compact JSON: one vehicle seen once, one object a message (`schema/observation.schema.json`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decoded, Refusal
from dataflows.formats.observation_plain import END, FOUND, SIGN_OF, scan
from dataflows.formats.plausible import admit
from dataflows.formats.text import UNREADABLE, Identity, Milliseconds, refuse, too_large
from detectors.model import OBSERVATION, Rows

LONGEST = 4_096  # bytes: an honest message has about 130

Flag = Literal[0, 1]
NAN = float("nan")


class Observation(msgspec.Struct, gc=False):
    """The message. SI units, WGS-84 degrees, ms since the epoch; flags are 1 where set. Other keys are ignored."""

    id: Identity
    ts: Milliseconds  # event time
    lat: float
    lon: float
    rx: Milliseconds | None = None  # arrival
    v: float | None = NAN
    hdg: float | None = NAN
    ax: float | None = NAN
    brk: Flag = 0
    ev: Flag = 0  # hard braking
    abs: Flag = 0
    tc: Flag = 0
    scs: Flag = 0
    hz: Flag = 0  # hazard lights
    ab: Flag = 0  # airbag
    dis: Flag = 0  # disabled
    wip: Flag = 0
    fog: Flag = 0


MEANT = {
    "accel": "ax",
    "acceleration": "ax",
    "airbag": "ab",
    "course": "hdg",
    "disabled": "dis",
    "hazard_lights": "hz",
    "heading": "hdg",
    "latitude": "lat",
    "lng": "lon",
    "longitude": "lon",
    "reporter": "id",
    "speed": "v",
    "time": "ts",
    "time_ms": "ts",
    "timestamp": "ts",
    "vehicle_id": "id",
    "velocity": "v",
    "vin": "id",
}
MEANT |= {name: name for name in Observation.__struct_fields__}
"""What others call its fields, in small letters, among them the rows that `roadwatch decode` prints."""

_read = msgspec.json.Decoder(Observation).decode
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_flags = attrgetter(*SIGN_OF)


class _Signs(dict[tuple[int, ...], int]):
    """Flags -> Sign bits, remembered: at most 1024 combinations exist."""

    def __missing__(self, flags: tuple[int, ...]) -> int:
        signs = self[flags] = sum(int(sign) for sign, flag in zip(SIGN_OF.values(), flags, strict=True) if flag)
        return signs


_signs = _Signs()


def unknown(messages: Sequence[bytes]) -> Counter[str]:
    """Keys that nothing is made of, and how many messages have each. Those that are refused may be so for a key's spelling."""
    found: Counter[str] = Counter()
    for message in messages:
        with suppress(*UNREADABLE):
            found.update(_keys(message).keys() - set(Observation.__struct_fields__))
    return found


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One observation for each message. Where no arrival is known, `rx` is it."""
    decoded, count, whole = Decoded(), len(messages), END.join((*messages, b""))
    lengths = np.fromiter(map(len, messages), np.int64, count)
    ends = np.cumsum(lengths + len(END)) - len(END)
    rows, found = np.empty(count, OBSERVATION), np.empty(count, FOUND)
    scan(np.frombuffer(whole, np.uint8), ends - lengths, ends, rows, found)
    good = found["plain"] & (lengths <= LONGEST)
    named = found.compress(good)
    rows["reporter"][good] = context.pseudonym.of(whole, named["id"], named["id_end"])
    if not good.all():
        seen = _seen(np.flatnonzero(~good).tolist(), messages, decoded.refusals)
        others = np.fromiter(seen, np.int64, len(seen))
        rows[others], found["arrival"][others] = _rows(list(seen.values()), context)
        good[others] = True
    decoded.observations, decoded.observation_of = rows.compress(good), np.flatnonzero(good).astype(np.int32)
    decoded.arrivals = np.where((arrivals < 0) & good, found["arrival"], arrivals)
    return admit(decoded, decoded.arrivals, context)


def _seen(numbers: list[int], messages: Sequence[bytes], refusals: list[Refusal]) -> dict[int, Observation]:
    """The messages of these numbers that can be read, by their numbers; the refusals of the others."""
    seen: dict[int, Observation] = {}
    for number in numbers:
        message = messages[number]
        try:
            if len(message) > LONGEST:
                refusals.append(too_large(number, len(message), LONGEST))
            else:
                seen[number] = _read(message)
        except UNREADABLE as error:
            refusals.append(refuse(number, error, Observation))
    return seen


def _rows(seen: list[Observation], context: Context) -> tuple[Rows, NDArray[np.int64]]:
    """Their rows and arrivals, filled by column, which is several times quicker than by row."""
    count, pseudonym = len(seen), context.pseudonym
    rows = np.zeros(count, OBSERVATION)
    rows["time"] = np.fromiter([row.ts for row in seen], np.int64, count)
    rows["reporter"] = np.fromiter([pseudonym(row.id) for row in seen], np.uint64, count)
    rows["lat"] = np.fromiter([row.lat for row in seen], np.float64, count)
    rows["lon"] = np.fromiter([row.lon for row in seen], np.float64, count)
    with np.errstate(over="ignore"):  # 1e300 m/s becomes infinite here and is refused as impossible
        rows["speed"] = np.fromiter([row.v for row in seen], np.float64, count)
        rows["heading"] = np.fromiter([row.hdg for row in seen], np.float64, count)
        rows["accel"] = np.fromiter([row.ax for row in seen], np.float64, count)
    rows["signs"] = np.fromiter([_signs[flags] for flags in map(_flags, seen)], np.uint32, count)
    return rows, np.fromiter([-1 if row.rx is None else row.rx for row in seen], np.int64, count)
