"""roadwatch's own compact JSON: one vehicle seen once, one object a message (`schema/observation.schema.json`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decoded
from dataflows.formats.plausible import admit
from dataflows.formats.text import UNREADABLE, Identity, Milliseconds, refuse, too_large
from detectors.model import OBSERVATION, Rows, Sign

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


SIGN_OF = {
    "brk": Sign.BRAKE,
    "ev": Sign.HARD_BRAKE,
    "abs": Sign.ABS,
    "tc": Sign.TRACTION,
    "scs": Sign.STABILITY,
    "hz": Sign.HAZARD_LIGHTS,
    "ab": Sign.AIRBAG,
    "dis": Sign.DISABLED,
    "wip": Sign.WIPERS,
    "fog": Sign.FOG_LIGHTS,
}

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
    """Keys that nothing is made of, and how many messages have each; all of them can be read."""
    found: Counter[str] = Counter()
    for message in messages:
        found.update(_keys(message).keys() - set(Observation.__struct_fields__))
    return found


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One observation for each message. Where no arrival is known, `rx` is it."""
    decoded = Decoded()
    seen: list[Observation] = []
    bad: list[int] = []
    for number, message in enumerate(messages):
        try:
            if len(message) > LONGEST:
                decoded.refusals.append(too_large(number, len(message), LONGEST))
                bad.append(number)
            else:
                seen.append(_read(message))
        except UNREADABLE as error:
            decoded.refusals.append(refuse(number, error, Observation))
            bad.append(number)
    of = np.arange(len(messages), dtype=np.int32)
    if bad:
        of = np.delete(of, bad)
    decoded.observations, decoded.observation_of = _rows(seen, context), of
    decoded.arrivals = _known_arrivals(seen, of, arrivals)
    return admit(decoded, decoded.arrivals, context)


def _rows(seen: list[Observation], context: Context) -> Rows:
    """Filled by column, which is several times quicker than by row."""
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
    return rows


def _known_arrivals(seen: list[Observation], of: NDArray[np.int32], arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
    """The arrivals, with `rx` in the place of unknown ones."""
    unknown = arrivals[of] < 0
    if not unknown.any():
        return arrivals
    said = np.fromiter([-1 if row.rx is None else row.rx for row in seen], np.int64, len(seen))
    arrivals = arrivals.copy()
    arrivals[of] = np.where(unknown, said, arrivals[of])
    return arrivals
