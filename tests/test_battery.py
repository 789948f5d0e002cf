"""The battery detector as a detector: alarms at once, limits twice, nothing said of blanks, the same whole or in parts."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ev_fleet import Recording, simulate
from benchmarks.score_battery import frames
from detectors.battery import HOLD, BatteryHealth
from detectors.battery_vehicles import FORGET, VEHICLE
from detectors.judgement import severity
from detectors.model import OBSERVATION, READING, SENSOR, Detector, Finding, Frame, Rows
from tests.wire import a_reading_of_2025, decode

T0 = 1_741_073_400_000
SOUND = {
    "lat": 22.55,
    "lon": 114.1,
    "speed": 12.0,
    "mileage": 1000.0,
    "soc": 0.6,
    "voltage": 350.0,
    "current": 20.0,
    "insulation": 8e6,
    "cell_voltage_max": 3.66,
    "cell_voltage_min": 3.64,
    "cell_voltage_mean": 3.65,
    "temperature_max": 28.0,
    "temperature_min": 26.0,
    "motor_temperature": 50.0,
    "state": 1,
    "charging": 3,
}
LINES = ("slope_steep", "slope_load", "moments")
FLOATS = [name for name in READING.names or () if READING[name].kind == "f"]


def reading(seconds: float, reporter: int = 7, **said: float) -> Rows:
    row = np.zeros(1, READING)
    for name, value in {**SOUND, **said}.items():
        row[name] = value
    row["time"], row["reporter"] = T0 + int(seconds * 1000), reporter
    return row


def drive(detector: BatteryHealth, rows: Iterable[Rows], until: float | None = None) -> list[Finding]:
    together = np.concatenate(list(rows))
    end = None if until is None else T0 + int(until * 1000)
    return [f for frame in frames(together, end=end) for f in detector.update(frame)]


def tick(start: float, seconds: float = 1.0) -> Frame:
    begin = T0 + int(start * 1000)
    return Frame(begin, begin + int(seconds * 1000), np.empty(0, OBSERVATION), np.empty(0, SENSOR), np.empty(0, READING))


@pytest.fixture(scope="module")
def small() -> Recording:
    return simulate(11, vehicles=30, hours=1.5, faults_per_kind=1)


def test_it_is_a_detector() -> None:
    assert isinstance(BatteryHealth(), Detector)
    assert BatteryHealth().update(tick(0)) == []


ALARMS = [
    ("over-temperature", {"alarms": 1 << 1}, True),
    ("over-temperature that affects driving", {"alarms": 1 << 1, "alarm_level": 2}, True),
    ("over-temperature that does not affect driving", {"alarms": 1 << 1, "alarm_level": 1}, False),
    ("cell over-voltage", {"alarms": 1 << 5}, False),
    ("cell under-voltage", {"alarms": 1 << 6}, False),
    ("insulation", {"alarms": 1 << 11, "alarm_level": 2}, False),
    ("overcharge", {"alarms": 1 << 18}, False),
    ("thermal event of the 2025 edition", {"alarms": 1 << 23, "alarm_level": 4}, True),
    ("level 4 alone", {"alarm_level": 4}, True),
    ("level 3 without a reason", {"alarm_level": 3}, False),
    ("level 3 with inconsistent cells", {"alarm_level": 3, "alarms": 1 << 10}, False),
    ("thermal event at level 1", {"alarm_level": 1, "alarms": 1 << 23}, True),
    ("level 4 with nothing but the brake", {"alarm_level": 4, "alarms": 1 << 13}, True),
    ("super capacitor hot at level 3", {"alarm_level": 3, "alarms": 1 << 21}, False),
    ("super capacitor over-voltage at level 3", {"alarm_level": 3, "alarms": 1 << 22}, False),
    ("hydrogen leak at level 3", {"alarm_level": 3, "alarms": 1 << 24}, False),
    ("hydrogen pressure at level 3", {"alarm_level": 3, "alarms": 1 << 25}, False),
    ("hydrogen temperature at level 3", {"alarm_level": 3, "alarms": 1 << 26}, False),
    ("fuel-cell stack hot at level 3", {"alarm_level": 3, "alarms": 1 << 27}, False),
]


@pytest.mark.parametrize(("said", "heat"), [a[1:] for a in ALARMS], ids=[a[0] for a in ALARMS])
def test_the_cars_own_alarm_speaks_at_once(said: dict[str, int], heat: bool) -> None:
    (found,) = drive(BatteryHealth(), [reading(0.5, **said)])
    assert found.kind == "battery_anomaly"
    assert found.time == T0 + 1000
    assert found.onset == T0 + 500
    assert found.reporters == {7}
    assert (found.lat, found.lon, found.radius) == (22.55, 114.1, 50.0)
    assert math.isnan(found.heading)
    evidence = dict(found.evidence)
    assert evidence["hard_limit"] == 1.0
    assert evidence["alarm_bits"] == said.get("alarms", 0)
    assert ("thermal" in evidence) == heat
    assert list(found.evidence) == sorted(found.evidence)


HARMLESS = [
    ("state of charge low", {"alarms": 1 << 4, "alarm_level": 1}),
    ("state of charge low at level 3: empty", {"alarms": 1 << 4, "alarm_level": 3}),
    ("brake at level 3: not the battery", {"alarms": 1 << 13, "alarm_level": 3}),
    ("motor too fast at level 3: not the battery", {"alarms": 1 << 19, "alarm_level": 3}),
    ("motor current at level 3: not the battery", {"alarms": 1 << 20, "alarm_level": 3}),
    ("super capacitor warm, soft", {"alarms": 1 << 21, "alarm_level": 1}),
    ("a trace of hydrogen", {"alarms": 1 << 24, "alarm_level": 2}),
    ("fuel-cell stack warm", {"alarms": 1 << 27, "alarm_level": 1}),
    ("temperature difference, soft", {"alarms": 1 << 0, "alarm_level": 1}),
    ("state of charge jump, soft", {"alarms": 1 << 8, "alarm_level": 1}),
    ("level not given", {"alarm_level": 255}),
    ("level abnormal", {"alarm_level": 254}),
    ("state of charge low at level 3", {"alarms": 1 << 4, "alarm_level": 3}),
    ("flags not filled in", {"alarms": 0xFFFFFFFF, "alarm_level": 255}),
]


@pytest.mark.parametrize("said", [h[1] for h in HARMLESS], ids=[h[0] for h in HARMLESS])
def test_what_real_cars_send_every_day_is_no_anomaly(said: dict[str, int]) -> None:
    assert drive(BatteryHealth(), [reading(10 * k, **said) for k in range(60)]) == []


def test_a_thermal_event_in_a_frame_of_2025_is_extreme() -> None:
    """From the wire to what the alert says."""
    for said in ({"alarms": 1 << 23, "alarm_level": 4}, {"alarm_level": 4}, {"alarm_level": 1, "levels": [(23, 4)]}):
        rows = decode("gbt32960", a_reading_of_2025(**said)).readings
        (found,) = drive(BatteryHealth(), [rows])
        assert (found.lat, found.lon) == pytest.approx((22.540897, 114.050292), abs=2e-6)
        assert dict(found.evidence)["thermal"] == 1.0
        assert severity(found.kind, dict(found.evidence)) == "Extreme"


def minutes(count: int, **said: float) -> list[Rows]:
    return [reading(10 * k, **said) for k in range(6 * count)]


LIMITS: list[tuple[str, dict[str, float], dict[str, float], bool]] = [
    ("a cell over 60 C", {}, {"temperature_max": 61.0}, True),
    ("an empty lithium cell", {}, {"cell_voltage_min": 1.2}, False),
    ("an overfull cell", {}, {"cell_voltage_max": 4.7}, False),
    ("insulation under 100 ohm per volt", {}, {"insulation": 30e3}, False),
]


@pytest.mark.parametrize(("before", "then", "heat"), [c[1:] for c in LIMITS], ids=[c[0] for c in LIMITS])
def test_physical_limits_count_when_passed_twice(before: dict[str, float], then: dict[str, float], heat: bool) -> None:
    detector = BatteryHealth()
    assert drive(detector, minutes(10, **before)) == []
    once = pickle.loads(pickle.dumps(detector))
    broken_byte = [reading(600, **then), *(reading(610 + 10 * k, **before) for k in range(30))]
    assert not any("hard_limit" in dict(f.evidence) for f in drive(once, broken_byte))
    found = drive(detector, [reading(600 + 10 * k, **then) for k in range(4)], until=650)
    assert found
    hard = [f for f in found if "hard_limit" in dict(f.evidence)]
    assert hard
    assert hard[0].time <= T0 + 630_000
    assert ("thermal" in dict(hard[0].evidence)) == heat


def hot_for(detector: BatteryHealth, minutes: int, **said: float) -> float:
    """For how many minutes of those that it is said a limit is told of, after ten minutes without."""
    drive(detector, [reading(10 * k) for k in range(60)])
    found = drive(detector, [reading(600 + 10 * k, **said) for k in range(6 * minutes)])
    hard = [f.time for f in found if "hard_limit" in dict(f.evidence)]
    return (hard[-1] - T0 - 600_000) / 60_000.0 if hard else 0.0


def test_a_probe_that_stays_where_its_range_ends_is_no_fire_for_ever() -> None:
    """At first nobody can tell: in a fire probes die as well."""
    assert hot_for(BatteryHealth(), 60, temperature_max=210.0) == pytest.approx(10.0, abs=1.0)
    assert hot_for(BatteryHealth(), 60, temperature_max=210.0, temperature_min=46.0) > 58.0, "the others are warm as well"
    assert hot_for(BatteryHealth(), 60, temperature_max=120.0) > 58.0, "no end of a range"


def test_a_rise_of_one_kelvin_a_second_is_runaway() -> None:
    detector = BatteryHealth()
    drive(detector, minutes(10))
    hot = [reading(600 + 10 * k, temperature_max=36.0 + 12.0 * k) for k in range(3)]  # 36, 48, 60: never over 60
    (first, *_) = [f for f in drive(detector, hot, until=640) if "hard_limit" in dict(f.evidence)]
    assert dict(first.evidence)["thermal"] == 1.0


def test_a_probe_whose_wire_is_broken_makes_no_difference_between_modules() -> None:
    """-40 C is where its range begins: in a warm pack nothing is so cold. What differs by ten degrees is told of as before."""
    sound = [reading(10 * k) for k in range(360)]
    for coldest, told in ((-40.0, False), (14.0, True)):
        detector = BatteryHealth()
        drive(detector, sound)
        later = [reading(3600 + 10 * k, temperature_min=coldest) for k in range(120)]
        assert bool(drive(detector, later)) == told, coldest


def test_a_dead_cell_stays_a_limit_passed_for_as_long_as_it_is_dead() -> None:
    """Half-way between 3.3 V and nothing lies a chemistry in which nothing would be empty."""
    said = {"voltage": 320.0, "cell_voltage_max": 3.3, "cell_voltage_mean": 3.27}
    detector = BatteryHealth()
    drive(detector, [reading(10 * k, **said, cell_voltage_min=3.25) for k in range(60)])
    found = drive(detector, [reading(600 + 10 * k, **said, cell_voltage_min=0.0) for k in range(720)])
    assert "hard_limit" in dict(found[-1].evidence)


@pytest.mark.parametrize(("soc", "told"), [(0.99, False), (0.6, True)])
def test_iron_phosphate_that_is_full_has_a_highest_cell(soc: float, told: bool) -> None:
    """In every sound pack, at the end of each full charge, for as long as it is held there; not half-way through a charge."""
    said = {"voltage": 320.0, "soc": soc, "speed": 0.0, "state": 2}
    driven = [reading(10 * k, **said, cell_voltage_max=3.33, cell_voltage_min=3.31, cell_voltage_mean=3.32) for k in range(360)]
    charge = {**said, "charging": 1, "current": -75.0, "cell_voltage_mean": 3.46, "cell_voltage_min": 3.44}
    charged = [reading(3600 + 10 * k, **charge, cell_voltage_max=3.48) for k in range(180)]
    held = [reading(5400 + 10 * k, **charge | {"current": 0.0, "charging": 4}, cell_voltage_max=3.65) for k in range(180)]
    detector = BatteryHealth()
    drive(detector, driven)
    found = drive(detector, [*charged, *held])
    assert any("highest_cell" in dict(f.evidence) for f in found) == told


def test_other_chemistries_are_not_empty_lithium() -> None:
    metal_hydride = {"cell_voltage_max": 1.6, "cell_voltage_min": 1.28, "cell_voltage_mean": 1.5}
    assert drive(BatteryHealth(), minutes(10, **metal_hydride)) == []


def test_insulation_that_was_never_measured_is_no_fault() -> None:
    assert drive(BatteryHealth(), minutes(10, insulation=0.0)) == []


def test_a_finding_is_repeated_while_the_alarm_lasts_and_ends_with_it() -> None:
    detector = BatteryHealth()
    ringing = [reading(10 * k, alarms=1 << 11) for k in range(12)]
    assert len(drive(detector, ringing, until=120)) == 12
    calm = drive(detector, [reading(120 + 10 * k) for k in range(12)], until=240)
    assert len(calm) <= 1


def thermal_for(rows: list[Rows]) -> int:
    """How many findings of heat."""
    return sum("thermal" in dict(f.evidence) for f in drive(BatteryHealth(), rows, until=700))


def test_heat_is_told_however_short_it_is() -> None:
    """Seconds of a thermal event within another alarm, and of 75 C: each was over before the next word was due."""
    leaking = [reading(600 + k, alarms=1 << 11 | (k in (13, 14, 15)) << 23, alarm_level=3) for k in range(60)]
    assert thermal_for(leaking) >= 1
    hot = [reading(k, temperature_max=75.0 if k in range(603, 608) else 36.0) for k in range(540, 660)]
    assert thermal_for(hot) >= 1


def test_a_limit_counts_when_it_is_passed_again_whatever_is_missing_in_between() -> None:
    """And who no longer says how hot it is does not say that it has cooled."""
    calm = [reading(10 * k) for k in range(60)]
    hot = [reading(600 + 10 * k, temperature_max=80.0 if k % 2 == 0 else np.nan) for k in range(10)]
    assert thermal_for([*calm, *hot[:3]]) >= 1
    lost = [reading(600 + 10 * k, temperature_max=80.0 if k < 2 else np.nan) for k in range(10)]
    assert thermal_for([*calm, *lost]) >= 8
    cooled = [reading(600 + 10 * k, temperature_max=80.0 if k < 2 else 40.0) for k in range(10)]
    assert thermal_for([*calm, *cooled]) <= 2


@pytest.mark.parametrize("lasts", range(20, 31))
def test_an_all_clear_ends_an_alarm_in_whatever_second_it_comes(lasts: int) -> None:
    ringing = [reading(k, alarms=1 << 1, alarm_level=3) for k in range(lasts)]
    found = drive(BatteryHealth(), [*ringing, reading(lasts, alarm_level=0)], until=200)
    assert found
    assert max(f.time for f in found) <= T0 + 1000 * (lasts + 10)


def test_who_says_nothing_of_an_alarm_does_not_end_it() -> None:
    blank = dict.fromkeys(FLOATS, np.nan) | {"alarms": 0xFFFFFFFF, "alarm_level": 255}
    silent, blanks = [], [reading(10 * k, **blank) for k in range(1, 12)]
    assert thermal_for([reading(0, alarms=1 << 1), *silent]) == thermal_for([reading(0, alarms=1 << 1), *blanks]) > 1


def test_a_car_that_goes_silent_in_alarm_is_spoken_of_for_a_while() -> None:
    detector = BatteryHealth()
    drive(detector, [reading(0, alarms=1 << 1)], until=1)
    said = [f for k in range(1, 300) for f in detector.update(tick(k))]
    assert len(said) == HOLD // 10_000 - 1  # and the first, when it came
    assert max(f.time for f in said) <= T0 + HOLD + 1000


def test_without_a_position_the_last_known_one_stands_and_nan_if_there_is_none() -> None:
    detector = BatteryHealth()
    drive(detector, minutes(2))
    (found,) = drive(detector, [reading(120, alarms=1 << 11, lat=math.nan, lon=math.nan)])
    assert (found.lat, found.lon) == pytest.approx((22.55, 114.1), abs=1e-5)
    (lost,) = drive(BatteryHealth(), [reading(120, alarms=1 << 11, lat=math.nan, lon=math.nan)])
    assert math.isnan(lost.lat)
    assert math.isnan(lost.lon)


def findings(detector: BatteryHealth, panes: Sequence[Frame]) -> list[Finding]:
    return [f for frame in panes for f in detector.update(frame)]


def test_whole_equals_parts_pickled_in_between(small: Recording) -> None:
    panes = list(frames(small.readings))
    whole = findings(BatteryHealth(), panes)
    assert whole
    detector, parts = BatteryHealth(), list[Finding]()
    for part in range(0, len(panes), 701):
        detector = pickle.loads(pickle.dumps(detector))
        parts += findings(detector, panes[part : part + 701])
    assert [repr(f) for f in parts] == [repr(f) for f in whole]


def test_two_runs_end_in_the_same_state(small: Recording) -> None:
    one, two = BatteryHealth(), BatteryHealth()
    panes = list(frames(small.readings[:5000]))
    findings(one, panes)
    findings(two, panes)
    assert pickle.dumps(one) == pickle.dumps(two)


def test_state_is_small_and_silent_vehicles_are_forgotten() -> None:
    detector = BatteryHealth()
    crowd = np.concatenate([reading(0.001 * k, reporter=k + 1) for k in range(900)])
    drive(detector, [crowd, reading(20)])
    assert len(detector.vehicles) == 900
    assert detector.vehicles.nbytes / 900 <= 300
    assert VEHICLE.itemsize <= 288
    late = FORGET / 1000 + 60
    drive(detector, [reading(late - 30, reporter=5)])
    drive(detector, [reading(late + 3600, reporter=5), reading(late + 3620, reporter=5)])
    assert len(detector.vehicles) == 1
    assert len(pickle.dumps(detector)) < 20_000


def test_rows_that_are_older_than_the_vehicles_last_change_nothing() -> None:
    rows = minutes(10)
    plain, mixed = BatteryHealth(), BatteryHealth()
    drive(plain, rows)
    drive(mixed, rows[:30])
    stale = np.concatenate([reading(100, temperature_max=95.0, reissued=1), reading(110, soc=0.1, reissued=1)])
    late = Frame(T0 + 291_000, T0 + 291_001, np.empty(0, OBSERVATION), np.empty(0, SENSOR), stale)
    assert mixed.update(late) == []
    assert drive(mixed, rows[30:]) == []
    assert mixed.vehicles.table[: len(mixed.vehicles)].tobytes() == plain.vehicles.table[: len(plain.vehicles)].tobytes()


def test_many_readings_of_one_vehicle_in_one_pane_are_taken_one_by_one() -> None:
    rows = np.concatenate(minutes(3))
    one = Frame(T0, T0 + 200_000, np.empty(0, OBSERVATION), np.empty(0, SENSOR), rows)
    detector = BatteryHealth()
    assert detector.update(one) == []
    assert detector.vehicles.table["count"][0].max() == len(rows)


values = st.sampled_from([math.nan, 0.0, 1.0, -1.0, 1e-3, 3.7, 60.0, 500.0, -1000.0, 6e7])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 3), st.integers(0, 400), st.dictionaries(st.sampled_from(FLOATS), values), st.integers(0, 255)
        ),
        min_size=1,
        max_size=40,
    )
)
def test_blanks_and_nonsense_never_poison_the_models(sent: list[tuple[int, int, dict[str, float], int]]) -> None:
    rows = [
        reading(after, reporter=reporter, **said, alarm_level=byte, state=byte % 5, charging=byte % 7)
        for reporter, after, said, byte in sent
    ]
    together = np.concatenate(rows)
    together = together[np.lexsort((together["reporter"], together["time"]))]
    detector = BatteryHealth()
    found = drive(detector, [together], until=1300)
    for f in found:
        assert math.isfinite(f.score)
        assert all(math.isfinite(number) for _, number in f.evidence)
    fleet = detector.fleet
    for learned in (fleet.mean, fleet.within, fleet.between, fleet.doubt, fleet.scale):
        assert np.isfinite(learned).all()
    table = detector.vehicles.table[: len(detector.vehicles)]
    for name in (
        "mean",
        "variance",
        "count",
        "smooth",
        "heat_xy",
        "heat_xx",
        "charge_xy",
        "charge_xx",
        "square",
        "work",
        *LINES,
    ):
        assert np.isfinite(table[name]).all(), name
    assert drive(detector, [reading(4000 + 10 * k, reporter=9) for k in range(60)]) == [] or found  # still at work


VECTORS = Path(__file__).parents[1].parent / "shared" / "vectors" / "gb32960"


def test_real_cars_raise_no_alarm() -> None:
    if not VECTORS.is_dir():
        pytest.skip("needs ../shared/vectors/gb32960: real frames, which are read where they lie")
    from dataflows.formats import gbt32960
    from dataflows.formats.base import Context, Pseudonym

    context = Context(Pseudonym(b"test"))
    for path in sorted(VECTORS.glob("*.hex")):
        raw = [bytes.fromhex(line) for line in path.read_text().split()]
        rows = gbt32960.decode(raw, np.full(len(raw), -1), context).readings
        rows = rows[np.lexsort((rows["reporter"], rows["time"]))]
        detector, found = BatteryHealth(), list[Finding]()
        for day in np.split(rows, np.flatnonzero(np.diff(rows["time"]) > 3_600_000) + 1):
            found += findings(detector, list(frames(day)))
        assert len(rows)
        assert found == []
