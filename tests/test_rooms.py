"""Who may know whom: what import-linter's contracts in pyproject.toml cannot say by name."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import grimp
import pytest

from detectors import CATALOGUE

ROOT = Path(__file__).parents[1]


def test_no_detector_of_the_catalogue_knows_another() -> None:
    graph = grimp.build_graph("detectors")
    modules = {detector.__module__ for detector in CATALOGUE}
    known = {(a, b): graph.find_shortest_chain(a, b) for a, b in permutations(sorted(modules), 2)}
    assert not {pair: chain for pair, chain in known.items() if chain}


@pytest.mark.parametrize("path", sorted((ROOT / "dataflows").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_settings_read_the_environment(path: Path) -> None:
    reads = re.search(r"\bos\.(environ|getenv)\b|from os import .*(environ|getenv)", path.read_text("utf-8"))
    assert path.name == "settings_reader.py" or not reads, f"{path} reads the environment; make it a setting"
