"""What `roadwatch config` prints is what is in force, says what each setting is, can be given back, and holds no secret."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import tomlkit
from pydantic import BaseModel

from dataflows.config_command import as_toml
from dataflows.settings import Input, Settings
from dataflows.settings_reader import load
from tests import settings_page

ROOT = Path(__file__).parents[1]
PLANTED = "planted-s3cret"
CASES: list[dict[str, Any]] = [
    {},
    {"window": {"lateness": 3000, "shards": 7}, "metrics": {"enabled": False, "port": 0}, "alerts": {"status": "Actual"}},
    {"inputs": {"topics": []}},
    {"inputs": {"topics": [{"topic": "a", "format": "j2735", "partitions": [0, 3]}, {"topic": "b", "format": "sensor"}]}},
    {"kafka": {"group": 'with "quotes", a \\, a # and a\nline', "connect_timeout": 1e22}, "recovery": {"directory": "é/日本"}},
    {"kafka": {"ssl_ca_location": "#"}, "inputs": {"topics": [{"topic": "a.b-c_d", "format": "sensor"}]}},
    {"inputs": {"topics": [{"topic": "a", "format": "sensor", "idle_after": float("inf")}]}},
    {
        "kafka": {
            "security_protocol": "sasl_ssl",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "roadwatch",
            "sasl_password_file": "/run/secrets/kafka",
        }
    },
]


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every section, and what its lists are of."""
    yield Input
    for field in model.model_fields.values():
        assert isinstance(field.annotation, type)
        yield field.annotation


def choices(annotation: Any) -> list[str]:
    """The values of a Literal, alone or beside None."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in choices(part)]


@pytest.mark.parametrize("given", CASES)
def test_what_is_printed_can_be_given_back(given: dict[str, Any], tmp_path: Path) -> None:
    settings, printed = load(None, given), tmp_path / "printed.toml"
    printed.write_text(as_toml(settings), "utf-8")
    assert load(printed) == settings
    assert as_toml(load(printed)) == printed.read_text("utf-8")


def test_and_a_file_given_to_it_too(tmp_path: Path) -> None:
    settings, printed = load(ROOT / "deploy" / "roadwatch.toml"), tmp_path / "printed.toml"
    printed.write_text(as_toml(settings), "utf-8")
    assert settings != load()
    assert load(printed) == settings


def test_every_setting_has_its_line_with_what_it_says() -> None:
    lines = as_toml(load()).splitlines()
    for model in models(Settings):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            for choice in choices(field.annotation):
                assert re.search(rf"\b{choice}\b", field.description), f"{name} does not say that it may be {choice}"
            mine = [line for line in lines if line.removeprefix("# ").startswith((f"{name} ", f"{name}:"))]
            assert [line for line in mine if line.endswith(field.description)], name


def test_what_is_not_set_is_a_comment() -> None:
    assert "\n# sasl_username is not set: " in as_toml(load())


def test_a_secret_is_said_to_be_there_and_not_shown(tmp_path: Path) -> None:
    secrets = {"kafka": {"sasl_password": PLANTED, "ssl_key_password": PLANTED}, "privacy": {"key": PLANTED}}
    text = as_toml(load(None, secrets | {"window": {"lateness": 1}}))
    assert PLANTED not in text
    assert text.count(" is set, and not shown: ") == 3
    assert not {"sasl_password", "ssl_key_password", "key"} & {key for part in tomllib.loads(text).values() for key in part}
    printed = tmp_path / "printed.toml"
    printed.write_text(text, "utf-8")
    assert load(printed, secrets) == load(None, secrets | {"window": {"lateness": 1}}), "with the secrets again it is all of it"


def test_a_person_can_edit_it(tmp_path: Path) -> None:
    edited = tomlkit.parse(as_toml(load()))
    edited["window"]["lateness"] = 5000  # type: ignore[index]
    file = tmp_path / "edited.toml"
    file.write_text(tomlkit.dumps(edited), "utf-8")
    assert load(file).window.lateness == 5000


def test_the_page_of_settings_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert page == settings_page.page(), "make it anew: python -m tests.settings_page > docs/settings.md"
