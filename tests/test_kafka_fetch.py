"""`make kafka` says in one sentence why it was not run, and fetches no jar twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import real_kafka
from tests.real_kafka import NoKafkaError, fetch


@pytest.fixture
def jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "kafka"
    monkeypatch.setattr(real_kafka, "JARS", folder)
    monkeypatch.setattr(real_kafka.shutil, "which", lambda command: f"/usr/bin/{command}")
    return folder


def maven(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> list[list[object]]:
    calls: list[list[object]] = []

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        real_kafka.JARS.mkdir()
        (real_kafka.JARS / "half.jar").touch()
        return subprocess.CompletedProcess([], code, said, "")

    monkeypatch.setattr(real_kafka.subprocess, "run", run)
    return calls


@pytest.mark.parametrize("missing", ["java", "mvn"])
def test_what_is_missing_is_named(missing: str, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_kafka.shutil, "which", lambda command: None if command == missing else "/usr/bin/there")
    with pytest.raises(NoKafkaError, match=f"^there is no {missing} here: install .*, then run make kafka again$"):
        fetch()


def test_a_fetch_that_fails_leaves_nothing_and_says_why(jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(monkeypatch, 1, "[INFO] x\n[ERROR] no repository answers\n[ERROR] more")
    with pytest.raises(NoKafkaError, match=r"\(\[ERROR\] no repository answers\): see that it reaches a repository$"):
        fetch()
    assert not jars.exists()


def test_jars_that_are_there_are_not_fetched_again(jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = maven(monkeypatch, 0)
    jars.mkdir()
    (jars / "kafka_2.13-3.9.1.jar").touch()
    fetch()
    assert calls == []
