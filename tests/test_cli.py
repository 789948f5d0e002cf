"""The program beside its commands: which version it is, and what it can do."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from dataflows import cli, worker
from dataflows.told import ToldError
from tests.living import PATIENCE, roadwatch

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(roadwatch(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("arguments", [("--version",), ("--version", "run")])
def test_it_says_which_version_it_is_and_does_nothing_else(arguments: tuple[str, ...]) -> None:
    ended = said(*arguments)
    assert (ended.stdout, ended.stderr, ended.returncode) == (f"roadwatch {VERSION}\n", "", 0)


def test_its_help_says_what_it_is_for_and_names_the_commands() -> None:
    ended = said("--help")
    assert ended.returncode == 0
    assert "Turns what connected vehicles" in ended.stdout
    for command in ("run", "replay", "decode", "topics", "watch", "demo", "config"):
        assert f" {command} " in ended.stdout


def test_who_needs_no_detector_waits_for_none() -> None:
    """What an error of the worker's is called is known without it: importing all of it took two seconds of every command."""
    what = "import sys, dataflows.cli as cli\ntry: cli.main()\nexcept SystemExit: print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", what, "--version"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("roadwatch ")
    assert not {"numba", "bytewax", "confluent_kafka", "detectors"} & set(ended.stdout.split())


def test_a_worker_may_open_as_many_files_as_the_system_lets_it() -> None:
    """By default a process may have 1024, and 84 partitions on three brokers took more."""
    what = "import resource as r; from dataflows.worker import _open_files as o; o(); print(*r.getrlimit(r.RLIMIT_NOFILE))"
    few = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, r.getrlimit(r.RLIMIT_NOFILE)[1])); " + what
    soft, hard = subprocess.run(
        [sys.executable, "-c", few], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert soft == hard


def test_the_last_sentence_is_json_where_all_others_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the log by machine would not find why the worker ended."""

    class EndError(ToldError):
        exit_code = 75

    def end(*_: object) -> None:
        raise EndError("what happened, and what to do")

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(worker, "work", end)
    with pytest.raises(typer.Exit) as ended:
        cli.run(set_=["logs.format=json"])
    assert ended.value.exit_code == 75
    said = json.loads(capsys.readouterr().err)
    assert (said["level"], said["message"]) == ("critical", "what happened, and what to do")
    with pytest.raises(EndError):
        cli.run(set_=["logs.format=console"])
