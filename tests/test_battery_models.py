"""The battery detector's models: equal to river's statistics, silent on sound fleets, and every kind of fault found."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import stats

from benchmarks.ev_fleet import KINDS, Recording, simulate
from benchmarks.ev_fleet.export import demo_cut
from benchmarks.score_battery import detect, frames, judge, rules, run
from detectors.battery import BatteryHealth
from detectors.battery_cells import BINS, FORGET, IRON, NICKEL, PRIOR, RIDGE, doubt_bin, doubt_prior, follow, lever, regressors
from detectors.battery_channels import LOWEST
from detectors.battery_fleet import (
    FLOOR,
    PEAK_FLOOR,
    PRIOR_BLOCKS,
    PRIOR_PEAK,
    QUANTILE,
    RATE,
    SMOOTH,
    Fleet,
    slow,
)
from detectors.battery_vehicles import CHANNELS, UNJUDGED, VEHICLE, N, Vehicles
from detectors.model import Rows

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=60)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(numbers)
def test_a_baseline_begins_as_rivers_mean(xs: list[float]) -> None:
    theirs, ours = stats.Mean(), 0.0
    for n, x in enumerate(xs, 1):
        theirs.update(x)
        ours = slow(ours, x, float(n))
    assert ours == pytest.approx(theirs.get(), rel=1e-9, abs=1e-9)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(numbers)
def test_a_baseline_goes_on_as_rivers_exponential_mean(xs: list[float]) -> None:
    theirs = stats.EWMean(fading_factor=RATE)
    theirs.update(xs[0])
    ours = xs[0]
    for x in xs[1:]:
        theirs.update(x)
        ours = slow(ours, x, 1e9)
    assert ours == pytest.approx(theirs.get(), rel=1e-9, abs=1e-9)


def cars(count: int = 1) -> Rows:
    table = np.zeros(count, VEHICLE)
    table["peak"] = UNJUDGED
    return table


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=50))
def test_the_arrays_of_judge_are_rivers_statistics(deviations: list[float]) -> None:
    """Deviations inside the winsor limits: the mean is stats.Mean, the smoothing is stats.EWMean(.2) begun at 0."""
    fleet, car = Fleet(), cars()
    fleet.scale[:] = 1e6  # nothing is suspicious
    mean, smooth = stats.Mean(), stats.EWMean(fading_factor=SMOOTH)
    smooth.update(0.0)
    for deviation in deviations:
        count, own = float(car["count"][0, 0]), float(car["mean"][0, 0])
        trust = count / (count + 30.0)
        centre = trust * own + (1.0 - trust) * float(fleet.mean[0])
        variance = count / (count + 1000.0) * (float(car["variance"][0, 0]) - fleet.within[0]) + fleet.within[0]
        sigma = float(np.sqrt(max(variance, FLOOR[0] ** 2) + (1.0 - trust) * fleet.between[0]))
        x = np.full((1, N), np.nan)
        x[0, 0] = centre + deviation * sigma
        mean.update(float(x[0, 0]))
        smooth.update(deviation)
        fleet.judge(x, np.ones((1, N)), car, np.zeros((1, N)))
        assert car["mean"][0, 0] == pytest.approx(mean.get(), rel=1e-4, abs=1e-4)
        assert car["smooth"][0, 0] == pytest.approx(smooth.get(), rel=1e-4, abs=1e-4)
    assert car["count"][0, 0] == len(deviations)
    assert (car["count"][0, 1:] == 0).all()


def test_the_scale_is_rivers_quantile_shrunk_to_the_prior() -> None:
    rng = np.random.default_rng(3)
    peaks = rng.gamma(4.0, 1.0, (2000, N))
    peaks[::7, 2] = -np.inf
    fleet, theirs = Fleet(), [stats.Quantile(QUANTILE) for _ in range(N)]
    for part in np.array_split(peaks, 37):
        fleet.calibrate(part)
    for channel, quantile in enumerate(theirs):
        column = peaks[:, channel][np.isfinite(peaks[:, channel])]
        for peak in column:
            quantile.update(float(peak))
        trust = len(column) / (len(column) + PRIOR_BLOCKS)
        shrunk = trust * quantile.get() + (1 - trust) * PRIOR_PEAK[channel]
        assert fleet.scale[channel] == pytest.approx(max(shrunk, PEAK_FLOOR[channel]))


def test_nothing_but_numbers_reaches_the_quantiles() -> None:
    fleet = Fleet()
    fleet.calibrate(np.full((5, N), -np.inf))
    fleet.calibrate(np.full((5, N), np.nan))
    assert (fleet.blocks == 0).all()
    assert (fleet.scale == PRIOR_PEAK).all()


def test_bins_cover_every_state_of_a_pack() -> None:
    nan = float("nan")
    states = product((0.0, 7.0, 3000.0, -3000.0, nan), (0.0, 0.5, 1.0, nan), (3.2, 3.7, nan))
    bins = {state: doubt_bin(*state) for state in states}
    assert min(bins.values()) == 0
    assert max(bins.values()) == BINS - 1
    assert bins[3000.0, 0.5, 3.7] == bins[-3000.0, nan, nan]
    doubt = doubt_prior()
    assert doubt.shape == (BINS,)
    assert (doubt >= 1.0).all()
    assert doubt_bin(100.0, 0.5, 3.25) != doubt_bin(100.0, 0.5, 3.7)
    assert (
        doubt_bin(5.0, 0.05, 3.25) == doubt_bin(14.9, 0.079, 3.25) != doubt_bin(4.9, 0.05, 3.25)
    )  # edges belong to what is above


def test_a_line_is_ridge_regression_with_forgetting() -> None:
    """Reading by reading the same as solving the weighted sums of all of them, begun at the prior and drawn back to it."""
    rng = np.random.default_rng(6)
    vehicles = Vehicles()
    vehicles.admit(np.array([3], np.uint64))
    car, ridge, prior = vehicles.table[0], np.diag(RIDGE), np.stack([PRIOR, PRIOR], axis=1)
    moments, right = ridge, ridge @ prior
    for _ in range(400):
        line = regressors(rng.uniform(-200, 200), rng.uniform(0, 1), 3.7)
        weight, y = rng.uniform(0.1, 2.0), rng.normal(0.02, 0.01, 2)
        own = np.stack([car["mean"][LOWEST:], car["slope_steep"], car["slope_load"]]).astype(np.float64)
        follow(car, line, weight, y - line @ own, LOWEST)
        right = right + FORGET * (ridge @ prior - right) + weight * np.outer(line, y)
        moments = moments + FORGET * (ridge - moments) + weight * np.outer(line, line)
    learned = np.linalg.solve(moments, right)
    np.testing.assert_allclose(car["mean"][LOWEST:], learned[0], atol=2e-5)
    np.testing.assert_allclose(car["slope_steep"], learned[1], atol=2e-5)
    np.testing.assert_allclose(car["slope_load"], learned[2], atol=2e-5)
    np.testing.assert_allclose(lever(car, line), line @ np.linalg.solve(moments, line), rtol=1e-3)


@pytest.mark.parametrize(("level", "curve"), [(3.2, IRON), (3.7, NICKEL)])
def test_between_its_points_a_curve_is_straight(level: float, curve: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    for soc in (0.0, 0.001, *np.linspace(0.01, 0.99, 197), *curve[0], 1.0):
        assert regressors(-50.0, float(soc), level) == pytest.approx((1.0, np.interp(soc, *curve), 0.5))
    assert regressors(50.0, float("nan"), level) == pytest.approx((1.0, np.interp(0.5, *curve), 0.5))


def test_a_line_learns_nothing_from_blanks() -> None:
    vehicles = Vehicles()
    vehicles.admit(np.array([3], np.uint64))
    car, nan = vehicles.table[0], float("nan")
    before = car.tobytes()
    follow(car, regressors(50.0, 0.5, 3.7), 1.0, np.full(2, np.nan), LOWEST)
    follow(car, regressors(nan, 0.5, 3.7), 1.0, np.full(2, 0.01), LOWEST)
    assert car.tobytes() == before
    follow(car, regressors(50.0, 0.5, 3.7), 1.0, np.array([np.nan, 0.01]), LOWEST)
    assert car["mean"][LOWEST] == np.float32(PRIOR[0]) != car["mean"][LOWEST + 1]


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), min_size=1, max_size=6))
def test_every_vehicle_keeps_its_own_slot(batches: list[list[int]]) -> None:
    vehicles, slot_of = Vehicles(), dict[int, int]()
    for batch in batches:
        slots = vehicles.admit(np.array(batch, np.uint64))
        for reporter, slot in zip(batch, slots.tolist(), strict=True):
            assert slot_of.setdefault(reporter, slot) == slot
            assert vehicles.table["reporter"][slot] == reporter
    assert len(vehicles) == len(slot_of)


@pytest.fixture(scope="module")
def fleet() -> Recording:
    return simulate(5, vehicles=80, hours=5.0, faults_per_kind=2)


@pytest.fixture(scope="module")
def found(fleet: Recording) -> dict[int, float]:
    return judge(fleet, detect(fleet))[0]


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_of_fault_is_found(kind: str, fleet: Recording, found: dict[int, float]) -> None:
    injected = {k for k, fault in enumerate(fleet.faults) if fault.kind == kind}
    assert injected
    assert injected & found.keys()


def test_more_is_found_than_by_fixed_thresholds(fleet: Recording, found: dict[int, float]) -> None:
    ruled, _ = judge(fleet, rules(fleet))
    assert len(found) >= 2 * len(ruled)
    assert len(found) >= 0.8 * len(fleet.faults)


@pytest.mark.parametrize("seed", [21, 22])
def test_a_sound_fleet_is_silent(seed: int) -> None:
    assert detect(simulate(seed, vehicles=60, hours=3.0, faults_per_kind=0)) == []


def test_a_few_strangers_are_silent_too() -> None:
    """A shard that starts with nine cars it knows nothing of says nothing, whatever they do."""
    recording = simulate(23, vehicles=9, hours=2.0, faults_per_kind=0)
    assert detect(recording) == []


def test_the_demonstration_shows_the_models_and_a_hard_limit_in_any_sharding() -> None:
    recording = demo_cut()
    faulty = {int(recording.reporters[f.vehicle]): f.kind for f in recording.faults}
    for shards in (1, 4):
        by_model, by_limit = set(), set()
        for shard in range(shards):
            rows = recording.readings[recording.readings["reporter"] % np.uint64(shards) == shard]
            detector = BatteryHealth()
            for frame in frames(rows):
                for finding in detector.update(frame):
                    (reporter,) = finding.reporters
                    assert reporter in faulty
                    (by_limit if "hard_limit" in dict(finding.evidence) else by_model).add(faulty[reporter])
        assert "insulation_loss" in by_limit
        assert {"thermal_precursor", "soc_fault"} <= by_model


def test_evidence_names_the_channel_its_score_and_what_was_seen(fleet: Recording) -> None:
    detector = BatteryHealth()
    said = [dict(f.evidence) for frame in frames(fleet.readings) for f in detector.update(frame)]
    by_model = [evidence for evidence in said if "hard_limit" not in evidence]
    assert by_model
    for evidence in by_model:
        channels = [name for name in CHANNELS if name in evidence]
        assert channels
        assert all(f"{name}_value" in evidence for name in channels)
        assert "thermal" not in evidence  # which is what the car itself or its thermometer says


def test_the_table_has_a_line_for_every_kind() -> None:
    rows = run([5], vehicles=40, hours=1.0)
    assert [row["kind"] for row in rows] == [*KINDS, "all"]
    assert all(row["found"] <= row["injected"] for row in rows)
