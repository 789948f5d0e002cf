"""Settings: TOML before the defaults, the environment before TOML, flags before all; wrong ones get one clear sentence."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from dataflows import cli, secret_files
from dataflows import settings_reader as module
from dataflows.cli import settings_of
from dataflows.secret_files import pseudonym_key
from dataflows.settings import SettingsError
from dataflows.settings_reader import load

ROOT = Path(__file__).parents[1]


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "roadwatch.toml"


def test_flags_before_environment_before_file(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[kafka]\ngroup = "file"\npoll_messages = 7\nstart = "latest"')
    monkeypatch.setenv("ROADWATCH_KAFKA__GROUP", "environment")
    monkeypatch.setenv("ROADWATCH_KAFKA__POLL_MESSAGES", "8")
    kafka = load(toml, {"kafka": {"group": "flag"}}).kafka
    assert (kafka.group, kafka.poll_messages, kafka.start, kafka.security_protocol) == ("flag", 8, "latest", "plaintext")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[kafka]\nbootstrap_server = "x"', "kafka.bootstrap_server: .*did you mean 'bootstrap_servers'?"),
        ('[inputs]\ntopics = "a"', "inputs.topics: it is a list; write it in a TOML file and name that with --config"),
        ('[window]\npane = "a"', "window.pane: it should be a valid integer$"),
        ("[windw]\npane = 1", "windw: there is no 'windw'; did you mean 'window'?"),
        ("[foo]\npane = 1", "foo: there is no 'foo'; there are kafka, inputs, outputs, window, .*alerts$"),
        ('[kafka]\ngroup = ""', "kafka.group: "),
        ('[privacy]\nkey = ""', "privacy.key: "),
        ("[recovery]\ninterval = inf", "recovery.interval: .*less than or equal to 86400"),
        ("[kafka]\npartitions_interval = 1e10", "kafka.partitions_interval: .*less than or equal to 86400"),
        ("[window]\nmax_behind = 100000000000000000000", "window.max_behind: .*less than or equal to"),
        ("[window]\ncell_resolution = 7\nshard_resolution = 8", "window: .*shard_resolution is finer than cell_resolution"),
        ("[window]\npane = 1", "window.pane: .*greater than or equal to 100"),
        ('[[inputs.topics]]\ntopic = "a"\nformat = "b"', "inputs.topics.0.format: .*'gbt32960'"),
        ('[[inputs.topics]]\ntopic = "a"\nformt = "b"', "inputs.topics.0.format: Field required"),
        ('[[inputs.topics]]\ntopic="a"\nformat="sensor"\nidle=1', "inputs.topics.0.idle: .*did you mean 'idle_after'"),
        ('[[inputs.topics]]\ntopic="a"\nformat="sensor"\n' * 2, "topic a is listed twice"),
        (
            '[[inputs.topics]]\ntopic="road.dead-letters"\nformat="sensor"',
            "topic road.dead-letters is an input as well",
        ),
        ('[[inputs.topics]]\ntopic="a"\nformat="sensor"\n[outputs]\ncells = "a"', "outputs.*: topic a is an input as well"),
        ('[outputs]\nalerts = "bad topic"', "outputs.alerts: .*'bad topic' can be no topic's name"),
        ('[[inputs.topics]]\ntopic=".."\nformat="sensor"', "inputs.topics.0.topic: .*'..' can be no topic's name"),
        ('[kafka]\nbootstrap_servers = ""', "kafka.bootstrap_servers: "),
        ('[outputs]\ncells = "road.alerts"', "outputs.*: topic road.alerts is given twice"),
        ("[kafka", "settings file .* is not TOML: .*; texts are in quotes"),
    ],
)
def test_a_wrong_file_gets_one_sentence(text: str, sentence: str, toml: Path) -> None:
    toml.write_text(text)
    with pytest.raises(SettingsError, match=sentence) as caught:
        load(toml)
    assert len(str(caught.value).splitlines()) == (2 if "formt" in text else 1)  # it is missing, too


def test_all_that_is_wrong_is_said_at_once_and_where_it_stands(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[window]\npane = 1\n[kafka]\ngroop = "a"\n[[inputs.topics]]\ntopic = "a"\nformat = "b"')
    monkeypatch.setenv("ROADWATCH_WINDOW__LATENESS", "soon")
    monkeypatch.setenv("ROADWATCH_KAFK__GROUP", "x")
    with pytest.raises(SettingsError) as caught:
        load(toml, {"window": {"shards": "many"}})
    assert {sentence.split(": ")[0] for sentence in str(caught.value).splitlines()} == {
        "environment variable ROADWATCH_KAFK__GROUP",
        f"settings file {toml}, inputs.topics.0.format",
        f"settings file {toml}, kafka.groop",
        f"settings file {toml}, window.pane",
        "environment variable ROADWATCH_WINDOW__LATENESS",
        "--set window.shards",
    }


@pytest.mark.parametrize(
    ("variable", "value", "place"),
    [
        ("ROADWATCH_WINDOW", '{"pane": 1}', "environment variable ROADWATCH_WINDOW, window.pane: "),
        (
            "ROADWATCH_INPUTS__TOPICS",
            '[{"topic": "a", "format": "b"}]',
            "environment variable ROADWATCH_INPUTS__TOPICS, inputs.topics.0.format: ",
        ),
        ("roadwatch_window__pane", "1", "environment variable roadwatch_window__pane: "),
    ],
)
def test_a_file_that_is_right_is_not_blamed(
    variable: str, value: str, place: str, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('[window]\npane = 1000\n[[inputs.topics]]\ntopic = "a"\nformat = "sensor"')
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load(toml)
    assert str(caught.value).startswith(place)


def test_all_wrong_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWATCH_LATENESS", "x")
    monkeypatch.setenv("ROADWATCH_KAFK__GROUP", "x")
    with pytest.raises(SettingsError, match=r"(?s)_KAFK__GROUP: .*\n.*_LATENESS: "):
        load()


def test_what_kubernetes_adds_for_a_service_of_our_name_is_none_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ROADWATCH_SERVICE_HOST", "10.0.0.1"),
        ("ROADWATCH_SERVICE_PORT_METRICS", "9464"),
        ("ROADWATCH_PORT", "tcp://10.0.0.1:9464"),
        ("ROADWATCH_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("ROADWATCH_METRICS_PORT", "tcp://10.0.0.2:9464"),
    ):
        monkeypatch.setenv(name, value)
    load()
    monkeypatch.setenv("ROADWATCH_METRICS_PORT", "9464")
    with pytest.raises(SettingsError, match="write ROADWATCH_METRICS__PORT"):
        load()


@pytest.mark.parametrize("name", ["ROADWATCH_KAFK__GROUP", "ROADWATCH_KAFKA__GROP", "ROADWATCH_KAFKAS"])
def test_a_wrong_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=r"did you mean '(kafka|group)'"):
        load()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ROADWATCH_LATENESS", "ROADWATCH_WINDOW__LATENESS, "),
        ("ROADWATCH_ENABLED", "ROADWATCH_RECOVERY__ENABLED or ROADWATCH_METRICS__ENABLED, "),
    ],
)
def test_a_variable_without_its_section_is_told_it(name: str, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"write {right}"):
        load()


def test_a_missing_file_is_named(toml: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file at .*roadwatch.toml"):
        load(toml)


@pytest.mark.parametrize("wrong", ["kafka", "kafka.group", "group=x"])
def test_a_flag_that_is_not_one_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"section.key=value"):
        settings_of(None, [wrong])


def test_secrets_are_masked() -> None:
    shown = load(None, {"privacy": {"key": "s3cret"}, "kafka": {"sasl_password": "s3cret"}}).model_dump_json()
    assert "s3cret" not in shown
    assert "**" in shown


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = load(None, {"privacy": {"key_file": str(tmp_path / "var" / "key")}})
    first = pseudonym_key(settings)
    assert len(first) == 32
    assert pseudonym_key(settings) == first
    assert stat.S_IMODE(settings.privacy.key_file.stat().st_mode) == 0o600


def test_who_finds_the_key_being_made_waits_until_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process of the cluster has made the file, and writes it a moment later."""
    file = tmp_path / "key"
    settings = load(None, {"privacy": {"key_file": str(file)}})
    file.touch()
    monkeypatch.setattr(secret_files.time, "sleep", lambda _: file.write_bytes(b"k" * 32))
    assert pseudonym_key(settings) == b"k" * 32


def test_a_key_that_cannot_be_made_gets_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"privacy.key_file"):
        pseudonym_key(load(None, {"privacy": {"key_file": "/proc/nowhere/key"}}))


def test_nothing_else_reads_the_environment() -> None:
    readers = [
        path.name
        for room in ("detectors", "dataflows")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"os\.environ|getenv", path.read_text())
    ]
    assert set(readers) <= {Path(module.__file__).name}


def test_the_engines_own_page_stays_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would listen on all interfaces."""
    monkeypatch.setenv("BYTEWAX_DATAFLOW_API_ENABLED", "0")
    monkeypatch.setattr(cli, "app", lambda: None)
    cli.main()
    assert "BYTEWAX_DATAFLOW_API_ENABLED" not in os.environ
