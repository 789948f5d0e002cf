"""The simulated fleet: physical, rounded as on the wire, the same for the same seed, and truthful about its faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zstandard

from benchmarks.ev_fleet import KINDS, Recording, simulate
from benchmarks.ev_fleet.cells import LFP, NMC, OCV, open_circuit, resistance
from benchmarks.ev_fleet.export import DEMO_MINUTES, DEMO_START, arguments, demo_cut, write
from benchmarks.ev_fleet.fleet import ROUTE, vin
from benchmarks.ev_fleet.packs import ELECTRIC
from dataflows.formats import gbt32960
from dataflows.formats.base import Context, Pseudonym
from dataflows.formats.encode import gbt32960_realtime


@pytest.fixture(scope="module")
def fleet() -> Recording:
    return simulate(4, vehicles=40, hours=2.0, faults_per_kind=2)


def test_the_same_seed_is_the_same_fleet() -> None:
    one, two, other = (simulate(seed, vehicles=10, hours=0.3, faults_per_kind=1) for seed in (1, 1, 2))
    assert one.readings.tobytes() == two.readings.tobytes()
    assert one.faults == two.faults
    assert one.readings.tobytes() != other.readings.tobytes()


def test_reports_are_in_order_and_a_car_keeps_its_pace(fleet: Recording) -> None:
    time, reporter = fleet.readings["time"], fleet.readings["reporter"]
    assert (np.diff(time) >= 0).all()
    assert set(reporter.tolist()) <= set(fleet.reporters.tolist())
    pauses = np.concatenate([np.diff(time[reporter == car]) for car in fleet.reporters])
    assert set(pauses[pauses < 60_000].tolist()) == {10_000, 30_000}


def test_values_are_rounded_as_on_the_wire_and_physical(fleet: Recording) -> None:
    rows = fleet.readings
    for name, step in (("temperature_max", 1.0), ("soc", 0.01), ("current", 0.1), ("insulation", 1000.0)):
        steps = rows[name][~np.isnan(rows[name])].astype(np.float64) / step
        assert np.abs(steps - np.round(steps)).max() < 0.01, name
    with np.errstate(invalid="ignore"):
        assert not (rows["cell_voltage_max"] < rows["cell_voltage_min"]).any()
        assert not (rows["temperature_max"] < rows["temperature_min"]).any()
        assert not ((rows["soc"] < 0) | (rows["soc"] > 1)).any()
        assert not (rows["insulation"] < 0).any()
    (lat0, lon0), (lat1, lon1) = ROUTE
    known = ~np.isnan(rows["lat"])
    assert known.any()
    assert ((rows["lat"][known] >= lat0) & (rows["lat"][known] <= lat1)).all()
    assert ((rows["lon"][known] >= lon0) & (rows["lon"][known] <= lon1)).all()
    assert np.isnan(rows["insulation"]).any()


def test_cells_follow_their_chemistry() -> None:
    assert (np.diff(OCV, axis=1) > 0).all()
    half = open_circuit(np.full((2, 3), 0.5), np.array([NMC, LFP]))
    assert half[0, 0] > 3.5 > 3.4 > half[1, 0]
    warm, cold = resistance(np.full(1, 0.5), np.array([25.0])), resistance(np.full(1, 0.5), np.array([0.0]))
    assert 1.5 < cold[0] / warm[0] < 3.0
    assert resistance(np.full(1, 0.02), np.array([25.0]))[0] > 1.3


def test_charge_is_conserved_in_sound_cars() -> None:
    """What the reported current counts is what the reported state of charge moved, to the gauge's few percent and rounding."""
    sound = simulate(8, vehicles=12, hours=1.0, faults_per_kind=0, period=10)
    for car in sound.reporters:
        rows = sound.readings[sound.readings["reporter"] == car]
        if len(rows) < 300 or np.isnan(rows["current"]).any() or (rows["soc"] > 0.95).any():
            continue
        counted = -np.cumsum(rows["current"].astype(np.float64)) / 360.0  # Ah
        moved = rows["soc"].astype(np.float64) - rows["soc"][0]
        if np.ptp(moved) < 0.1:
            continue
        slope = np.polyfit(counted, moved, 1)[0]
        assert 1 / 320 < slope < 1 / 95
        assert np.abs(moved - np.polyval(np.polyfit(counted, moved, 1), counted)).max() < 0.02


def test_every_fault_begins_while_its_car_reports_and_shows(fleet: Recording) -> None:
    assert {f.kind for f in fleet.faults} <= set(KINDS)
    assert len({f.vehicle for f in fleet.faults}) == len(fleet.faults)
    for fault in fleet.faults:
        own = fleet.readings[fleet.readings["reporter"] == fleet.reporters[fault.vehicle]]
        after = own[own["time"] >= fault.onset]
        assert len(after)
        assert after["time"][0] - fault.onset < 60_000
        if fault.kind in ELECTRIC:
            assert after["state"][0] == 1
        assert fault.share(fault.onset) == 0.0
        assert fault.share(fault.onset + int(1000 * fault.ramp) + 1) == 1.0


def test_faults_do_what_they_are_called(fleet: Recording) -> None:
    for fault in fleet.faults:
        own = fleet.readings[fleet.readings["reporter"] == fleet.reporters[fault.vehicle]]
        before, after = own[own["time"] < fault.onset], own[own["time"] > fault.onset + 1000 * fault.ramp]
        if not len(before) or len(after) < 30:
            continue
        if fault.kind == "insulation_loss":
            assert np.nanmedian(after["insulation"]) < 0.2 * np.nanmedian(before["insulation"])
        if fault.kind == "thermal_precursor":
            assert np.nanmax(after["temperature_max"]) > np.nanmax(before["temperature_max"]) + 5
        if fault.kind == "stuck_voltage":
            assert len(np.unique(after["voltage"])) == 1


def test_vins_are_well_formed_and_nobodys() -> None:
    assert len({vin(1, k) for k in range(500)}) == 500
    assert all(len(v) == 17 and not set(v) & set("IOQ") and v.startswith("RWX") for v in (vin(2, k) for k in range(100)))


def test_what_is_exported_decodes_to_what_was_simulated(fleet: Recording) -> None:
    part = Recording(fleet.readings[:400], fleet.faults, fleet.vins, fleet.reporters)
    raw = [gbt32960_realtime(**said) for said in arguments(part)]  # type: ignore[arg-type]  # names are the encoder's
    decoded = gbt32960.decode(raw, np.full(len(raw), -1), Context(Pseudonym(b"test")))
    assert not decoded.refusals
    rows = decoded.readings
    assert (rows["time"] == part.readings["time"]).all()
    whole = ~np.isnan(part.readings["cell_voltage_max"]) & ~np.isnan(part.readings["cell_voltage_min"])
    for name, step in (("soc", 0.01), ("current", 0.1), ("voltage", 0.1), ("insulation", 1000.0), ("lat", 1e-6)):
        np.testing.assert_allclose(rows[name], part.readings[name], atol=0.51 * step, rtol=1e-6, err_msg=name)
    for name in ("cell_voltage_max", "cell_voltage_min"):
        np.testing.assert_allclose(rows[name][whole], part.readings[name][whole], atol=6e-4, err_msg=name)
    for name in ("alarms", "alarm_level", "state", "charging"):
        assert (rows[name] == part.readings[name]).all(), name


def test_the_demo_cut_is_small_and_in_its_place(tmp_path: Path) -> None:
    out = tmp_path / "ev.jsonl.zst"
    recording = demo_cut()
    write(recording, out)
    assert out.stat().st_size <= 1_500_000
    lines = zstandard.decompress(out.read_bytes()).decode().splitlines()
    assert len(lines) == len(recording.readings)
    times = [json.loads(line)["time"] for line in lines]
    assert min(times) >= DEMO_START
    assert max(times) < DEMO_START + DEMO_MINUTES * 60_000
    labels = [json.loads(line) for line in (tmp_path / "ev.labels.jsonl").read_text().splitlines()]
    assert {label["kind"] for label in labels} >= {"insulation_loss", "thermal_precursor"}
    assert all(label["onset"] > DEMO_START for label in labels)


def test_too_small_a_fleet_is_told() -> None:
    with pytest.raises(ValueError, match="3 vehicles are too few"):
        simulate(1, vehicles=3)


def test_a_name_that_cannot_be_written_is_told(tmp_path: Path, fleet: Recording) -> None:
    with pytest.raises(SystemExit, match=r"must end in \.jsonl"):
        write(fleet, tmp_path / "ev.csv")
