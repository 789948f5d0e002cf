"""Cells that are looked up are those that h3 says, wherever on Earth, and however often a place comes."""

from __future__ import annotations

from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows import cells
from dataflows.cells import SQUARES, Cells
from tests.test_formats_fuzz import tried

PENTAGON = h3.get_pentagons(9)[3]
places = st.sampled_from(
    [(22.5, 114.1), (0.0, 0.0), (69.6, 18.9), (-54.8, -68.3), (89.999, 10.0), (5.0, 180.0), h3.cell_to_latlng(PENTAGON)]
)


def by_h3(points: np.ndarray) -> list[int]:
    return [h3.latlng_to_cell(lat, lon, 9) for lat, lon in points.tolist()]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many points h3 is asked for."""
    asked: list[int] = []

    def ask(lat: float, lon: float, resolution: int) -> int:
        asked.append(1)
        return int(h3.latlng_to_cell(lat, lon, resolution))

    class Counting:
        latlng_to_cell = staticmethod(ask)
        cell_to_latlng = staticmethod(h3.cell_to_latlng)
        cell_to_boundary = staticmethod(h3.cell_to_boundary)

    monkeypatch.setattr(cells, "h3", Counting)
    return asked


@tried(150)
@given(places, st.integers(0, 2**32 - 1), st.sampled_from([1, 8]), st.sampled_from([100, 200_000]))
def test_a_cell_is_the_one_that_h3_says(place: tuple[float, float], seed: int, seldom: int, remembered: int) -> None:
    dice = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "SELDOM", seldom)
        patch.setattr(cells, "REMEMBERED", remembered)
        asked = Cells(9)
        for _ in range(6):
            points = np.array(place) + dice.uniform(-0.004, 0.004, (60, 2))
            points[:, 0] = np.clip(points[:, 0], -90.0, 90.0)
            points[:, 1] = (points[:, 1] + 180.0) % 360.0 - 180.0
            assert asked(points[:, 0], points[:, 1]).tolist() == by_h3(points)


def test_points_at_the_edges_of_cells() -> None:
    """A metre inside and outside of every edge and corner around, with all squares known."""
    home = h3.latlng_to_cell(22.5, 114.1, 9)
    points = []
    for cell in h3.grid_disk(home, 2):
        corners = np.array(h3.cell_to_boundary(cell))
        edges = np.concatenate([corners + share * (np.roll(corners, 1, 0) - corners) for share in (0.0, 0.2, 0.5, 0.8)])
        centre = np.array(h3.cell_to_latlng(cell))
        points += [centre + much * (edges - centre) for much in (0.97, 0.99, 0.995, 1.005, 1.01, 1.03)]
    together = np.concatenate(points)
    known = Cells(9)
    for _ in range(30):
        assert known(together[:, 0], together[:, 1]).tolist() == by_h3(together)


def test_around_a_pole_no_plane_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """Along meridians, every two metres of the last three kilometres."""
    monkeypatch.setattr(cells, "SELDOM", 1)
    lat, lon = (grid.ravel() for grid in np.meshgrid(np.linspace(89.97, 89.99999, 1500), np.arange(-175.0, 180.0, 10.0)))
    known, expected = Cells(9), by_h3(np.column_stack((lat, lon)))
    for some in range(0, len(lat), 7):  # in turn, so that others of a square have taught it
        known(lat[some : some + 1], lon[some : some + 1])
    assert known(lat, lon).tolist() == expected


def test_places_that_come_again_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of them: a square kilometre, over and over."""
    asked, known = counted(monkeypatch), Cells(9)
    points = np.array([22.5, 114.1]) + np.random.default_rng(3).uniform(0.0, 0.009, (2000, 2))
    for _ in range(20):
        known(points[:, 0], points[:, 1])
    first = len(asked)
    known(points[:, 0], points[:, 1])
    assert first > 2000
    assert len(asked) - first < 0.3 * len(points)


def test_when_it_is_full_what_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting and learning anew, wherever vehicles are spread over a province, cost three times what h3 does."""
    monkeypatch.setattr(cells, "REMEMBERED", 50)
    known: Any = Cells(9)
    kept = []
    for n in range(40):
        known(np.arange(16) / SQUARES + n, np.zeros(16))
        kept.append(known._squares.held["square"].tolist())
    assert 0 < len(kept[-1]) <= 50
    assert len(known._insides) <= 50
    assert kept[-1] == kept[-10]


@pytest.mark.parametrize("missing", [(np.nan, 114.1), (22.5, np.nan), (np.nan, np.nan)])
def test_a_missing_position_has_no_cell(missing: tuple[float, float]) -> None:
    known = Cells(9)
    for _ in range(3):
        found = known(np.array([22.5, missing[0]]), np.array([114.1, missing[1]]))
        assert found.tolist() == [h3.latlng_to_cell(22.5, 114.1, 9), 0]
