"""Secrets come from files and the environment, never from a command line, and come out nowhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import structlog

from dataflows import logs
from dataflows.broker import free_port
from dataflows.cli import settings_of
from dataflows.kafka_admin import client
from dataflows.secret_files import LONG, about_the_key, exposed
from dataflows.settings import Settings, SettingsError
from dataflows.settings_reader import load
from tests.living import PATIENCE, roadwatch
from tests.test_broker_end_to_end import ROOT

PLANTED = "planted-s3cret"
SECRETS = ["kafka.sasl_password", "kafka.ssl_key_password", "privacy.key"]
LOGIN = {"security_protocol": "sasl_ssl", "sasl_mechanism": "PLAIN", "sasl_username": "roadwatch"}


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PLANTED + "\n")
    path.chmod(0o600)
    return path


def by_file(path: Path) -> Settings:
    return load(None, {"kafka": LOGIN | {"sasl_password_file": str(path)}, "privacy": {"key": PLANTED}})


def said(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What a command says, with every secret planted in its environment."""
    planted = {f"ROADWATCH_{name.upper().replace('.', '__')}": PLANTED for name in SECRETS}
    login = {f"ROADWATCH_KAFKA__{name.upper()}": value for name, value in LOGIN.items()}
    nobody = {"ROADWATCH_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "ROADWATCH_KAFKA__CONNECT_TIMEOUT": "1"}
    environment = dict(os.environ) | planted | login | nobody | {"ROADWATCH_LOGS__LEVEL": "debug"} | more
    return subprocess.run(roadwatch(command), env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(name: str) -> None:
    variable = f"ROADWATCH_{name.upper().replace('.', '__')}"
    sentence = rf"^--set {name}: .* environment \({variable}\) or a file \({name}_file\)$"
    with pytest.raises(SettingsError, match=sentence) as told:
        settings_of(None, [f"{name}={PLANTED}"])
    assert PLANTED not in str(told.value)


def test_a_secret_without_its_section_is_not_repeated_either() -> None:
    with pytest.raises(SettingsError) as told:
        settings_of(None, [f"sasl_password={PLANTED}"])
    assert PLANTED not in str(told.value)


def test_a_password_comes_from_its_file_without_the_newline(password: Path) -> None:
    assert client(by_file(password).kafka)["sasl.password"] == PLANTED


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "it is not UTF-8")]
)
def test_a_secret_file_that_is_none_is_one_sentence(content: bytes | None, why: str, password: Path) -> None:
    if content is None:
        password.unlink()
    else:
        password.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"kafka.sasl_password_file .*{why}"):
        client(by_file(password).kafka)


def test_a_relative_secret_file_is_named_whole(password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(password.parent)
    password.chmod(0o644)
    settings = by_file(Path(password.name))
    (warning,) = exposed(settings, None)
    assert warning.endswith(f"{password} is open to every user of this machine: chmod o= {password}")
    password.unlink()
    with pytest.raises(SettingsError, match=f"kafka.sasl_password_file {password}: No such file"):
        client(settings.kafka)


@pytest.mark.parametrize(
    ("kafka", "sentence"),
    [
        ({"sasl_password": PLANTED, "sasl_password_file": "/x"}, "both given; give one"),
        ({"ssl_key_password": PLANTED, "ssl_key_password_file": "/x"}, "both given; give one"),
        (LOGIN, "needs sasl_password_file or sasl_password"),
        ({"security_protocol": "sasl_ssl", "sasl_password": PLANTED}, "needs sasl_mechanism and sasl_username"),
        ({"sasl_password": PLANTED, "poll_messages": PLANTED}, "poll_messages: .*valid integer"),
    ],
)
def test_a_login_that_is_not_whole_is_one_sentence(kafka: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as told:
        load(None, {"kafka": kafka})
    assert PLANTED not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_section_that_is_no_json_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWATCH_KAFKA", f'{{"sasl_password": "{PLANTED}"')
    with pytest.raises(SettingsError, match="write one variable for each setting") as told:
        load()
    assert PLANTED not in str(told.value)


@pytest.mark.parametrize(("command", "code"), [("config", 0), ("run", 1), ("topics", 1), ("watch", 1)])
def test_no_command_says_a_secret(command: str, code: int) -> None:
    ended = said(command)
    assert ended.returncode == code, ended.stderr
    assert PLANTED not in ended.stdout + ended.stderr
    if command == "config":
        assert ended.stdout.count(" is set, and not shown: ") == len(SECRETS)


def test_no_log_line_and_no_traceback_says_a_secret(password: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = by_file(password)
    logs.configure("debug", "json")
    log = structlog.get_logger("tests")
    try:
        raise RuntimeError(f"with {settings!r} and {settings.kafka!s}")
    except RuntimeError:
        log.exception("failed", settings=settings, kafka=settings.kafka.model_dump())
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert PLANTED not in written


@pytest.mark.parametrize(("mode", "open_"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_a_secret_that_lies_open_is_told_of(mode: int, open_: bool, password: Path, tmp_path: Path) -> None:
    config = tmp_path / "roadwatch.toml"
    config.write_text(f'[privacy]\nkey = "{PLANTED}"\n')
    password.chmod(mode)
    config.chmod(mode)
    warnings = exposed(by_file(password), config)
    told = [f"kafka.sasl_password_file {password}", f"the settings file with a secret in it, {config}"] if open_ else []
    assert [warning.partition(" is open to every user of this machine: ")[0] for warning in warnings] == told


def test_settings_without_a_secret_may_be_read_by_everybody(tmp_path: Path) -> None:
    config = tmp_path / "roadwatch.toml"
    config.write_text('[kafka]\ngroup = "a"\n')
    config.chmod(0o644)
    assert exposed(load(config, {"privacy": {"key_file": str(tmp_path / "none")}}), config) == []


def test_a_login_in_clear_is_told_of(password: Path) -> None:
    kafka = LOGIN | {"sasl_password_file": str(password), "security_protocol": "sasl_plaintext"}
    (warning,) = exposed(load(None, {"kafka": kafka, "privacy": {"key": PLANTED}}), None)
    assert warning.endswith("use sasl_ssl")


def test_a_warning_goes_before_the_answer(password: Path) -> None:
    password.chmod(0o644)
    ended = said("config", ROADWATCH_KAFKA__SASL_PASSWORD="", ROADWATCH_KAFKA__SASL_PASSWORD_FILE=str(password))
    assert ended.returncode == 0
    warning = f"kafka.sasl_password_file {password} is open to every user of this machine: chmod o= {password}"
    assert ended.stderr == f"roadwatch: warning: {warning}\n"


@pytest.mark.parametrize(("size", "complains"), [(1, True), (LONG - 1, True), (LONG, False), (64, False)])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_key_that_can_be_tried_is_named_and_not_shown(size: int, complains: bool, in_file: bool, tmp_path: Path) -> None:
    key, path = PLANTED * 8, tmp_path / "key"
    path.write_text(key[:size])
    settings = load(None, {"privacy": {"key_file": str(path)} if in_file else {"key": key[:size]}})
    said = about_the_key(settings)
    assert [f"only {size} bytes long" in sentence for sentence in said] == [True] * complains
    assert all((str(path) in sentence) == in_file for sentence in said)
    assert size == 1 or not any(key[:size] in sentence for sentence in said)
