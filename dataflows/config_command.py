"""`roadwatch config`: the settings in force as TOML that can be edited and given back; no secret is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from pydantic import SecretStr
from tomlkit.items import Table

from dataflows.settings import Section, Settings

HEAD = "The settings in force. Edit and give it back with --config; the environment goes before a file, and --set before both."


def as_toml(settings: Settings) -> str:
    """One line a setting, so that a search for its name finds value and meaning; what is not set, and secrets, are comments."""
    document = tomlkit.document().add(tomlkit.comment(HEAD))
    for name in Settings.model_fields:
        section: Section = getattr(settings, name)
        document.add(name, _table(section, section.__doc__))
    return tomlkit.dumps(document)


def _table(section: Section, head: str | None = None) -> Table:
    table = tomlkit.table()
    if head:
        table.add(tomlkit.comment(head))
    for name, field in type(section).model_fields.items():
        value, says = getattr(section, name), field.description or ""
        if value is None:
            table.add(tomlkit.comment(f"{name} is not set: {says}"))
        elif isinstance(value, SecretStr):
            table.add(tomlkit.comment(f"{name} is set, and not shown: {says}"))
        elif isinstance(value, tuple) and any(isinstance(each, Section) for each in value):
            table.add(tomlkit.comment(f"{name}: {says}"))
            tables = tomlkit.aot()
            for each in value:
                tables.append(_table(each))
            table.add(name, tables)
        else:
            table.add(name, tomlkit.item(plain(value)).comment(says))
    return table


def plain(value: Any) -> Any:
    """As TOML knows it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
