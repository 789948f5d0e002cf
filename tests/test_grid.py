"""Who looks over a border: the shards of all cells within sight, whatever is known of the district around a cell."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.grid import Grid
from dataflows.settings import Window
from detectors.geometry import distance
from detectors.model import SIGHT
from tests.test_formats_fuzz import tried

PENTAGON = h3.cell_to_latlng(h3.get_pentagons(5)[3])
places = st.sampled_from([(22.5, 114.1), (0.0, 0.0), (69.6, 18.9), (-54.8, -68.3), (89.9, 10.0), (5.0, 180.0), PENTAGON])
resolutions = st.sampled_from([(9, 5), (9, 8), (9, 7), (9, 3), (7, 5), (7, 3), (11, 8), (10, 6)])


@tried(200)
@given(places, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), resolutions)
def test_watchers_own_a_cell_within_sight(
    place: tuple[float, float], north: float, east: float, resolution: tuple[int, int]
) -> None:
    grid = Grid(Window(cell_resolution=resolution[0], shard_resolution=resolution[1]))
    middle = h3.latlng_to_cell(min(place[0] + north, 90.0), place[1] + east, resolution[0])
    for cell in h3.grid_disk(middle, 4):
        owners = {grid.owner(near) for near in h3.grid_disk(cell, grid.rings)}
        assert set(grid.watchers(cell)) == owners - {grid.owner(cell)}


@pytest.mark.parametrize("resolution", range(7, 12))
@pytest.mark.parametrize("place", [(22.5, 114.1), (48.1, 11.6), (37.8, -122.4)])
def test_what_nobody_looks_at_is_out_of_sight(resolution: int, place: tuple[float, float]) -> None:
    grid = Grid(Window(cell_resolution=resolution))
    cell = h3.latlng_to_cell(*place, resolution)
    unseen = set(h3.grid_disk(cell, grid.rings + 1)) - set(h3.grid_disk(cell, grid.rings))
    rims = [np.array([corner for one in some for corner in h3.cell_to_boundary(one)]) for some in ({cell}, unseen)]
    nearest = min(float(distance(rims[1][:, 0], rims[1][:, 1], lat, lon).min()) for lat, lon in rims[0])
    assert nearest > 0.9 * SIGHT
