"""The bill of materials is held to the lock files, and the tool that writes it comes by hash only."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("check_sbom", ROOT / "deploy" / "check_sbom.py")
assert spec is not None
assert spec.loader is not None
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)


def bill(lock: str) -> str:
    return json.dumps({"components": [{"name": name, "version": version} for name, version in check.PIN.findall(lock)]})


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_of_a_lock_file_is_looked_for(name: str) -> None:
    lock = (ROOT / name).read_text("utf-8")
    assert len(check.PIN.findall(lock)) == len(re.findall(r"(?m)^[^\s#-]", lock)) > 30
    assert check.differences(lock, bill(lock)) == []
    missed = json.loads(bill(lock))
    gone = missed["components"].pop(7)
    assert check.differences(lock, json.dumps(missed)) == [f"{gone['name']} {gone['version']} is locked and not in the bill"]


def test_the_command_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lock").write_text("ruamel.yaml==1.0 ; python_version < '3'\n    --hash=sha256:0\n")
    (tmp_path / "bill").write_text('{"components": [{"name": "ruamel-yaml", "version": "1.0"}, {"name": "six"}]}')
    assert check.main([str(tmp_path / "lock"), str(tmp_path / "bill")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'bill'}: six ? is in the bill and not locked\n"


def test_the_tool_is_pinned_by_hash() -> None:
    lock = (ROOT / "deploy" / "sbom.lock").read_text("utf-8")
    packages = re.split(r"(?m)^(?=[a-z])", lock)[1:]
    assert any(package.startswith("cyclonedx-bom==") for package in packages)
    assert all("--hash=sha256:" in package for package in packages)
    assert "cyclonedx" not in (ROOT / "requirements-dev.lock").read_text("utf-8")
