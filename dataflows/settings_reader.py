"""Reads the settings, and nobody else reads the environment: a TOML file < environment < flags."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pydantic_settings
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dataflows.meant import no_such
from dataflows.settings import PREFIX, Settings, SettingsError

OF_KUBERNETES = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)")  # what it adds for a Service of our name; and
ADDRESS = ("tcp://", "udp://", "sctp://")  # as it writes them
CONFIG_VARIABLE = f"{PREFIX}CONFIG"  # path of the TOML file, where no --config flag names one


def settings_file(config: Path | None = None) -> Path | None:
    """The TOML file: `config`, else the one that ROADWATCH_CONFIG names, else none."""
    named = os.environ.get(CONFIG_VARIABLE)
    return config or (Path(named) if named else None)


def load(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the TOML file (`config`, else the one that ROADWATCH_CONFIG names), the environment and the flags.

    `flags` are nested like the file. Raises SettingsError.
    """
    path, given = settings_file(config), flags or {}
    wrong = [sentence for variable in sorted(os.environ) if (sentence := _misspelt(variable))]
    filed = _toml(path) if path else {}
    try:
        settings = Settings(_from_file=filed, **given)  # type: ignore[call-arg]  # our own source
    except ValidationError as error:
        wrong += [f"{_place(each['loc'], given, path, filed)}: {_complaint(each)}" for each in error.errors()]
    except pydantic_settings.SettingsError as error:  # a whole section in one variable, and that is no JSON
        raise SettingsError(f"environment: {error}; write one variable for each setting, {PREFIX}KAFKA__GROUP") from None
    if wrong:
        raise SettingsError("\n".join(wrong))
    return settings


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


def _misspelt(variable: str) -> str | None:
    """What is wrong with the section in an environment variable's name, if it is one of ours."""
    if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
        return None
    if OF_KUBERNETES.fullmatch(variable.removeprefix(PREFIX)) or os.environ[variable].startswith(ADDRESS):
        return None
    section = variable.removeprefix(PREFIX).split("__")[0].lower()
    if section in Settings.model_fields:
        return None
    if start := next((name for name in Settings.model_fields if section.startswith(f"{name}_")), None):
        right = variable.replace(f"{start.upper()}_", f"{start.upper()}__", 1)
        return f"environment variable {variable}: write {right}, with two underscores after the section"
    if homes := [name.upper() for name in Settings.model_fields if section in _fields([name])]:
        right = " or ".join(f"{PREFIX}{home}__{section.upper()}" for home in homes)
        return f"environment variable {variable}: write {right}, with its section"
    return f"environment variable {variable}: {no_such(section, Settings.model_fields)}"


def _place(loc: tuple[int | str, ...], flags: Mapping[str, Any], path: Path | None, filed: Mapping[str, Any]) -> str:
    """Where a setting stands, as whoever gave it wrote it; a section alone, for it may come from several places."""
    name, parents = ".".join(map(str, loc)), [part for part in loc if isinstance(part, str)]
    if len(parents) > 1 or not set(parents) <= Settings.model_fields.keys():
        if _stands(parents, flags):
            return f"--set {name}"
        given_there = {variable.upper(): variable for variable, value in os.environ.items() if value}  # empty counts as none
        for length in range(len(parents), 0, -1):
            if variable := given_there.get((PREFIX + "__".join(parents[:length])).upper()):
                return f"environment variable {variable}" + (f", {name}" if length < len(loc) else "")
        if path and _stands(parents[:2], filed):
            return f"settings file {path}, {name}"
    return f"setting {name}"


def _stands(names: list[str], given: Any) -> bool:
    for name in names:
        if not isinstance(given, Mapping) or name not in given:
            return False
        given = given[name]
    return True


def _complaint(error: ErrorDetails) -> str:
    """What is wrong with one setting, and what would be right."""
    if error["type"] == "tuple_type":
        return "it is a list; write it in a TOML file and name that with --config"
    if error["type"] != "extra_forbidden":
        should, *_ = error["msg"].removeprefix("Value error, ").split(", unable to")  # the rest says only what it was read as
        return should.replace("Input should", "it should", 1)
    *parents, last = error["loc"]
    return no_such(str(last), _fields(parents))


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
