"""The systemd unit agrees with the code and with what deploy/README.md tells to type; systemd, if installed, understands it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dataflows.cli import app
from dataflows.cluster import PATIENCE, START_AGAIN
from dataflows.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = (DEPLOY / "roadwatch.service").read_text("utf-8")
README = (DEPLOY / "README.md").read_text("utf-8")
INSTALLATION = README.split("## On a host without containers")[1].split("\n## ")[0]
MINUTES = 120  # s that docs/operations.md asks to wait between SIGTERM and SIGKILL

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="install Debian's package systemd to verify it"
)


def said(key: str) -> str:
    """The one value of a key."""
    (value,) = re.findall(rf"(?m)^{key}=(.*)$", UNIT)
    return str(value)


def test_its_command_is_one() -> None:
    program, *arguments = said("ExecStart").split()
    assert program == "/opt/roadwatch/bin/roadwatch"
    group = typer.main.get_command(app)
    with group.make_context(program, list(arguments)) as context:
        name, command, rest = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
        assert name == "run"
        assert command.make_context(name, rest, parent=context).params["config"] == Path("/etc/roadwatch/roadwatch.toml")


def test_it_is_started_again_when_it_asks_for_it_and_when_it_fails() -> None:
    assert said("Restart") == "on-failure"
    assert said("SuccessExitStatus") == said("RestartForceExitStatus") == str(START_AGAIN)
    assert said("StartLimitIntervalSec") == "0", "a broker may be away for longer than any limit"


def test_it_may_end_in_order() -> None:
    assert said("KillSignal") == "SIGTERM"
    assert int(said("TimeoutStopSec")) >= max(MINUTES, PATIENCE)
    assert said("KillMode") == "mixed", "the first process tells the others of its cluster"


def test_it_writes_only_where_systemd_lets_it() -> None:
    assert said("ProtectSystem") == "strict"
    assert "ReadWritePaths" not in UNIT
    assert said("WorkingDirectory") == f"/var/lib/{said('StateDirectory')}"
    for path in (Settings().recovery.directory, Settings().privacy.key_file):
        assert not path.is_absolute(), "so that it is in the working directory"
    assert said("Environment") == f"NUMBA_CACHE_DIR=/var/cache/{said('CacheDirectory')}"
    assert not re.search(r"(?m)^MemoryDenyWriteExecute", UNIT), "numba writes machine code and runs it"


def test_the_installation_makes_what_the_unit_names() -> None:
    program, settings = said("ExecStart").split()[0], Path(said("ExecStart").split()[-1])
    assert f"python3 -m venv {Path(program).parents[1]}" in INSTALLATION
    assert re.search(
        rf"useradd --system --user-group --home-dir {said('WorkingDirectory')} .*{said('User')}$", INSTALLATION, re.M
    )
    assert said("Group") == said("User")
    assert f"install -d -o root -g {said('Group')} -m 0750 {settings.parent}\n" in INSTALLATION
    assert f"deploy/{settings.name} {settings.parent}/" in INSTALLATION
    for directory in (said("WorkingDirectory"), f"/var/cache/{said('CacheDirectory')}"):
        assert f"`{directory}`" in INSTALLATION
    for line in re.findall(r"pip install ([^\n]*)", INSTALLATION):
        assert "--require-hashes" in line or '--no-deps "$keep"/dist/' in line or "--no-deps var/dist/" in line


@needs_systemd
def test_systemd_understands_it(tmp_path: Path) -> None:
    copy = tmp_path / "roadwatch.service"
    copy.write_text(UNIT.replace("ExecStart=/opt/roadwatch/bin/roadwatch", f"ExecStart={sys.executable}"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60)
    told = [line for line in done.stderr.splitlines() if "roadwatch.service" in line]
    assert (done.returncode, told) == (0, []), done.stderr
