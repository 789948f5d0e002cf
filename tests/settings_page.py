"""docs/settings.md, made of the settings' own descriptions.

python -m tests.settings_page > docs/settings.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomlkit
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dataflows.config_command import plain
from dataflows.settings import PREFIX, Input, Settings
from dataflows.settings_reader import CONFIG_VARIABLE

HEAD = f"""# Settings

Every setting with its default, as `dataflows/settings.py` has it. Made by `python -m tests.settings_page`.

They come from a TOML file (`--config`, or the file that `{CONFIG_VARIABLE}` names), then from the environment, then from
flags; each overrides the ones before it:

```
roadwatch config > roadwatch.toml                            # all of them with the values in force: edit it
roadwatch run --config roadwatch.toml                        # and give it back
{PREFIX}WINDOW__LATENESS=3000 roadwatch run                # the environment: section, two underscores, setting
roadwatch run --set window.lateness=3000                     # a flag; never for a secret
```

A misspelt one is an error that names the right one. Secrets are never printed; who may read them:
[threat-model.md](threat-model.md). `window.` is event time in ms, all other times are seconds of the clock.
"""


def page() -> str:
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        yield from (f"## {name}", "", section.__doc__ or "", "", *_table(section))
        if name == "inputs":
            yield from ("Each of the topics is a table `[[inputs.topics]]` of its own:", "", *_table(Input))


def _table(section: type[BaseModel]) -> Iterator[str]:
    yield from ("| Setting | Default | Says |", "|---|---|---|")
    for name, field in section.model_fields.items():
        yield f"| `{name}` | {_default(field.default)} | {field.description} |"
    yield ""


def _default(value: Any) -> str:
    """As TOML writes it."""
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "-"
    if isinstance(value, tuple) and value:
        return "; ".join(f"`{each.topic}` as {each.format}, {each.idle_after} s" for each in value)
    return f"`{tomlkit.item(plain(value)).as_string()}`"


if __name__ == "__main__":
    print(page(), end="")
