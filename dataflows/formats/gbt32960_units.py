"""The information units inside a GB/T 32960.3-2016 report, read into one reading of the vehicle's battery.

Big-endian throughout. FE / FFFE / FFFFFFFE mean abnormal and FF / FFFF / FFFFFFFF invalid: both become missing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from dataflows.formats.base import Reason, RefusedError

NAN = float("nan")
NOT_GIVEN = 255
ALARM_LEVELS = 3  # 0 none, 1 to 3; the 2016 edition knows no level 4


@dataclass(slots=True)
class Report:
    """What the units of one frame said, in SI units and degrees; the names are those of READING."""

    lat: float = NAN
    lon: float = NAN
    speed: float = NAN
    mileage: float = NAN
    soc: float = NAN
    voltage: float = NAN
    current: float = NAN
    insulation: float = NAN
    cell_voltage_max: float = NAN
    cell_voltage_min: float = NAN
    cell_voltage_mean: float = NAN
    temperature_max: float = NAN
    temperature_min: float = NAN
    motor_temperature: float = NAN
    alarms: int = 0
    alarm_level: int = NOT_GIVEN
    state: int = NOT_GIVEN
    charging: int = NOT_GIVEN
    cells_promised: dict[int, int] = field(default_factory=dict)  # sub-system -> how many cells it has
    cells: dict[int, list[int]] = field(default_factory=dict)  # sub-system -> its single voltages in mV, as sent
    probes: list[int] = field(default_factory=list)  # temperatures of all sub-systems, as sent

    @property
    def cells_sent(self) -> list[int]:
        """mV of every cell of every sub-system; nothing unless all the cells of all of them were sent."""
        if any(len(self.cells[pack]) != promised for pack, promised in self.cells_promised.items()):
            return []
        return [cell for cells in self.cells.values() for cell in cells if cell < 0xFFFE]


class Units:
    """A bounds-checked walk over the bytes of a frame's units."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self.unit = 0  # the one being read, for the sentence when it is cut off

    def __bool__(self) -> bool:
        return self._at < len(self._body)

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._body):
            raise RefusedError(Reason.BAD_LENGTH, f"information unit {self.unit:02x} ends past the end of its frame")
        taken, self._at = self._body[self._at : end], end
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def count8(self) -> int:
        """How many entries follow; none where the count itself is abnormal or invalid."""
        count = self.u8()
        return 0 if count >= 0xFE else count

    def count16(self) -> int:
        count = self.u16()
        return 0 if count >= 0xFFFE else count


def read(body: bytes) -> Report:
    """The report that the units of `body` make; RefusedError where one ends past the end or there is none.

    Some makers leave the length out of their own units, so nothing tells what follows: what was said before stands.
    """
    units, report = Units(body), Report()
    before_custom: Report | None = None
    if not units:
        raise RefusedError(Reason.WRONG_SHAPE, "the report has no information unit")
    while units:
        units.unit = units.u8()
        if before_custom is None and units.unit not in READERS:
            before_custom = deepcopy(report)
        try:
            READERS.get(units.unit, _custom)(units, report)
        except RefusedError:
            if before_custom is None:
                raise
            report = before_custom
            break
    return _completed(report)


def _completed(report: Report) -> Report:
    """With what the single values of units 08 and 09 add; unit 06 is the vehicle's own word and comes first."""
    if cells := report.cells_sent:
        report.cell_voltage_mean = sum(cells) / len(cells) / 1000
        report.cell_voltage_max = _first(report.cell_voltage_max, max(cells) / 1000)
        report.cell_voltage_min = _first(report.cell_voltage_min, min(cells) / 1000)
    if probes := [probe for probe in report.probes if probe < 0xFE]:
        report.temperature_max = _first(report.temperature_max, max(probes) - 40.0)
        report.temperature_min = _first(report.temperature_min, min(probes) - 40.0)
    return report


def _first(value: float, otherwise: float) -> float:
    return otherwise if value != value else value


def _u8(raw: int, scale: float = 1.0, offset: float = 0.0) -> float:
    return NAN if raw >= 0xFE else raw * scale + offset


def _u16(raw: int, scale: float, offset: float = 0.0) -> float:
    return NAN if raw >= 0xFFFE else raw * scale + offset


def _u32(raw: int, scale: float) -> float:
    return NAN if raw >= 0xFFFF_FFFE else raw * scale


def _code(raw: int, highest: int) -> int:
    """A code from 1 to `highest`; anything else is not given."""
    return raw if 1 <= raw <= highest else NOT_GIVEN


VEHICLE = struct.Struct(">BBBHIHHBBBHBB")


def _vehicle(units: Units, report: Report) -> None:
    state, charging, _mode, speed, mileage, voltage, current, soc, _dcdc, _gear, insulation, _accelerator, _brake = (
        VEHICLE.unpack(units.take(VEHICLE.size))
    )
    report.state = _code(state, 3)
    report.charging = _code(charging, 4)
    report.speed = _u16(speed, 1 / 36)  # 0.1 km/h
    report.mileage = _u32(mileage, 0.1)
    report.voltage = _u16(voltage, 0.1)
    report.current = _u16(current, 0.1, -1000.0)
    report.soc = _u8(soc, 0.01)
    report.insulation = _u16(insulation, 1000.0)  # kOhm


def _motors(units: Units, report: Report) -> None:
    """The hottest motor is the one that matters."""
    for _ in range(units.count8()):
        motor = _u8(units.take(12)[7], offset=-40.0)
        if not motor <= report.motor_temperature:
            report.motor_temperature = _first(motor, report.motor_temperature)


def _fuel_cell(units: Units, _report: Report) -> None:
    units.take(6)
    units.take(units.count16())  # one byte for each temperature probe
    units.take(10)


def _engine(units: Units, _report: Report) -> None:
    units.take(5)


def _position(units: Units, report: Report) -> None:
    """Bit 0: no fix; 1: south; 2: west. Terminals also send 0, 0 before their first fix."""
    status, lon, lat = struct.unpack(">BII", units.take(9))
    if status & 1 or max(lat, lon) >= 0xFFFF_FFFE or not (lat or lon):
        return
    report.lat = lat / (-1e6 if status & 2 else 1e6)
    report.lon = lon / (-1e6 if status & 4 else 1e6)


EXTREMES = struct.Struct(">BBHBBHBBBBBB")


def _extremes(units: Units, report: Report) -> None:
    _, _, highest, _, _, lowest, _, _, hottest, _, _, coldest = EXTREMES.unpack(units.take(EXTREMES.size))
    report.cell_voltage_max = _u16(highest, 0.001)
    report.cell_voltage_min = _u16(lowest, 0.001)
    report.temperature_max = _u8(hottest, offset=-40.0)
    report.temperature_min = _u8(coldest, offset=-40.0)


def _alarms(units: Units, report: Report) -> None:
    level, flags = struct.unpack(">BI", units.take(5))
    report.alarm_level = level if level <= ALARM_LEVELS else NOT_GIVEN
    report.alarms = 0 if flags >= 0xFFFF_FFFE else flags
    for _ in range(4):  # fault lists of battery, motor, engine and the rest: makers' own codes
        units.take(4 * units.count8())


def _cell_voltages(units: Units, report: Report) -> None:
    """A sub-system of more than 200 cells is sent in several parts with the same number."""
    for _ in range(units.count8()):
        number, _voltage, _current, promised, _first_cell = struct.unpack(">BHHHH", units.take(9))
        sent = units.count8()
        report.cells_promised[number] = promised
        report.cells.setdefault(number, []).extend(struct.unpack(f">{sent}H", units.take(2 * sent)))


def _probes(units: Units, report: Report) -> None:
    for _ in range(units.count8()):
        units.u8()
        report.probes.extend(units.take(units.count16()))


def _custom(units: Units, _report: Report) -> None:
    """Makers' and platforms' own units carry their length."""
    units.take(units.u16())


READERS: dict[int, Callable[[Units, Report], None]] = {
    0x01: _vehicle,
    0x02: _motors,
    0x03: _fuel_cell,
    0x04: _engine,
    0x05: _position,
    0x06: _extremes,
    0x07: _alarms,
    0x08: _cell_voltages,
    0x09: _probes,
}
