"""What the engine does with rows of an epoch that was never completed, and that it finds none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bytewax.recovery import init_db_dir

from dataflows.store_check import Progress, connections
from dataflows.unfinished import forget_unfinished
from tests.living import PATIENCE, wait_for
from tests.three_lives import FIRST, LAST, SECOND
from tests.unwritable import resume_epoch

ROOT = Path(__file__).parents[1]


def unfinished(store: Path) -> list[str]:
    """The steps of the rows that the engine ought not to look at."""
    with connections(store) as files:
        began = (Progress.of(files).resumes,)
        return [step for part in files for (step,) in part.execute("SELECT step_id FROM snaps WHERE snap_epoch >= ?", began)]


def begin(store: Path, life: int, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.three_lives", str(store), str(life), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def live(store: Path, life: int, workers: int, until: Callable[[], object]) -> None:
    """Until something is so; then it is killed."""
    with begin(store, life, workers) as child:
        try:
            wait_for(until, f"life {life} does what it has to")
        finally:
            child.kill()


def last(store: Path, workers: int) -> dict[str, int]:
    """What the third life resumes from."""
    with begin(store, LAST, workers) as child:
        said, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    return {name: int(number) for name, number in map(str.split, said.splitlines())}


def two_lives(store: Path, workers: int, between: Callable[[], object]) -> int:
    """The first is killed before an epoch was complete, the second after some. Where the second one went on."""
    live(store, FIRST, workers, lambda: "lives.last" in unfinished(store))
    between()
    began = resume_epoch(store)
    live(store, SECOND, workers, lambda: resume_epoch(store) > began + 1)
    return began


@pytest.fixture
def store(tmp_path: Path, count: int) -> Path:
    init_db_dir(tmp_path, count)
    return tmp_path


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (3, 2)])
def test_what_was_never_completed_is_forgotten_before_the_engine_looks(store: Path, workers: int) -> None:
    assert forget_unfinished(store) == 0

    def forget() -> None:
        left = unfinished(store)
        assert forget_unfinished(store) == len(left) > 0
        assert not unfinished(store)
        assert forget_unfinished(store) == 0

    began = two_lives(store, workers, forget)
    with connections(store) as files:
        runs = Progress.of(files).runs
    assert {epoch for number, _, epoch in runs if number == 1} == {began}, "the engine itself found another epoch"
    forget_unfinished(store)
    said = last(store, workers)
    assert said.get("state", 0) == said["input"]


@pytest.mark.parametrize("count", [1])
def test_the_engine_by_itself_goes_on_from_them(store: Path) -> None:
    """Why there is such a module; once this fails, it may go."""
    two_lives(store, 1, lambda: None)
    said = last(store, 1)
    assert said["state"] > said["input"]


def test_the_slowest_worker_of_the_last_run_says_where_it_goes_on() -> None:
    runs = [(0, 1, 1), (1, 3, 7)]
    assert Progress([], []).resumes == 0
    assert Progress(runs, [(0, 0, 99)]).resumes == 7, "nobody has come to anything yet"
    assert Progress(runs, [(1, 0, 9), (1, 1, 12)]).resumes == 7, "the third has not"
    assert Progress(runs, [(1, 0, 9), (1, 1, 12), (1, 2, 8)]).resumes == 8
