"""A store that an earlier commit left is resumed from as if nothing had been between, or its layout has another number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import golden
from tests.faulty import alerts


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The alerts of a run of today's that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    golden.start(folder)
    golden.go(folder)
    return alerts(folder / "alerts.jsonl")


def test_it_is_resumed_to_the_same_alerts(whole: list[bytes], tmp_path: Path) -> None:
    golden.start(tmp_path)
    golden.unpack(tmp_path)
    before = alerts(tmp_path / "alerts.jsonl")
    said = golden.go(tmp_path)
    assert "detector reset" not in said, f"{said[-3000:]}\n{golden.ADVICE}"
    after = alerts(tmp_path / "alerts.jsonl")
    assert after == whole, golden.ADVICE
    assert 0 < len(before) < len(after)  # something was told before, and something after


def test_the_state_has_the_layout_of_the_golden(tmp_path: Path) -> None:
    """Not every change of a layout shows in the alerts at once; this names the attribute."""
    then = golden.unpack(tmp_path / "then")
    (tmp_path / "now").mkdir()
    golden.start(tmp_path / "now")
    golden.go(tmp_path / "now", golden.HALF_WAY)
    now = golden.layout(tmp_path / "now" / "recovery")
    known = then.keys() & now.keys()
    assert "dataflows.window.State" in known
    assert "detectors.incidents.Incidents" in known
    assert {name: attributes(now[name]) for name in known} == {name: attributes(then[name]) for name in known}, golden.ADVICE
    for name in known:
        of_then, of_now = arrays(then[name]), arrays(now[name])
        for each in of_then.keys() & of_now.keys():  # at this moment, or at that, there may be none
            assert of_now[each] == of_then[each], f"{name}.{each}: {golden.ADVICE}"


def attributes(found: list[str]) -> list[str]:
    return [each for each in found if ": " not in each]


def arrays(found: list[str]) -> dict[str, set[str]]:
    """The types of the arrays that were found in each attribute."""
    types: dict[str, set[str]] = {}
    for each in found:
        name, colon, dtype = each.partition(": ")
        if colon:
            types.setdefault(name, set()).add(dtype)
    return types
