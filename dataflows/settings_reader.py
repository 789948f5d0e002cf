"""Reads the settings, and nobody else reads the environment: a TOML file < environment < flags."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pydantic_settings
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dataflows.settings import PREFIX, Settings, SettingsError

CONFIG_VARIABLE = f"{PREFIX}CONFIG"  # path of the TOML file, where no --config flag names one


def settings_file(config: Path | None = None) -> Path | None:
    """The TOML file: `config`, else the one that ROADWATCH_CONFIG names, else none."""
    named = os.environ.get(CONFIG_VARIABLE)
    return config or (Path(named) if named else None)


def load(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the TOML file (`config`, else the one that ROADWATCH_CONFIG names), the environment and the flags.

    `flags` are nested like the file. Raises SettingsError.
    """
    path = settings_file(config)
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE:
            section = variable.removeprefix(PREFIX).split("__")[0].lower()
            if section not in Settings.model_fields:
                start = next((name for name in Settings.model_fields if section.startswith(f"{name}_")), None)
                if start:
                    right = variable.replace(f"{start.upper()}_", f"{start.upper()}__", 1)
                    raise SettingsError(
                        f"environment variable {variable}: write {right}, with two underscores after the section"
                    )
                homes = [name.upper() for name in Settings.model_fields if section in _fields([name])]
                if homes:
                    right = " or ".join(f"{PREFIX}{home}__{section.upper()}" for home in homes)
                    raise SettingsError(f"environment variable {variable}: write {right}, with its section")
                raise SettingsError(f"environment variable {variable}: {_nearest(section, Settings.model_fields)}")
    try:
        return Settings(_from_file=_toml(path) if path else {}, **(flags or {}))  # type: ignore[call-arg]  # our own source
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    except pydantic_settings.SettingsError as error:  # a whole section in one variable, and that is no JSON
        raise SettingsError(f"environment: {error}; write one variable for each setting, {PREFIX}KAFKA__GROUP") from None


def close_the_engines_page() -> None:
    """Bytewax's own server listens on all interfaces without a login as soon as this variable is there, be it "0"."""
    os.environ.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no settings file at {path}; name an existing one with --config") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"settings file {path} is not TOML: {error}; texts are in quotes, sections in brackets") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} cannot be read: {error}") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "tuple_type":
        return f"setting {where} is a list; write it in a TOML file and name that with --config"
    if first["type"] != "extra_forbidden":
        should, *_ = first["msg"].removeprefix("Value error, ").split(", unable to")  # the rest says only what it was read as
        return f"setting {where}: {should.replace('Input should', 'it should', 1)}"
    *parents, last = first["loc"]
    return f"setting {where}: {_nearest(str(last), _fields(parents))}"


def _fields(parents: list[int | str]) -> Mapping[str, FieldInfo]:
    """The fields that exist at a path of the settings."""
    model: Any = Settings
    for part in parents:
        if isinstance(part, int):
            continue
        model = model.model_fields[part].annotation
        model = next((a for a in get_args(model) if isinstance(a, type) and issubclass(a, BaseModel)), model)
    fields: Mapping[str, FieldInfo] = model.model_fields
    return fields


def _nearest(wrong: str, right: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(wrong, list(right), n=1, cutoff=0.0)
    return f"there is no {wrong!r}; did you mean {near[0]!r}?"
