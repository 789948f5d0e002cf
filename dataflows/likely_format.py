"""Which other format a recorded file is in, where nothing in it could be read as the one that was named."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from dataflows.formats import FORMATS
from dataflows.formats.base import Context
from dataflows.formats.guard import decode_safely
from dataflows.recorded import arrived, messages

LOOKED_AT = 20  # messages: damaged ones are a few in a hundred


def likely_format(path: Path, named: str, context: Context) -> str | None:
    """Name of the format in which most of the first messages can be read; None if there is none, or it comes through a pipe."""
    if not path.is_file():
        return None
    for form in (form for form in FORMATS.values() if form.name != named):
        few = list(islice(messages(path, form), LOOKED_AT))
        arrival = arrived(path, form)
        decoded = decode_safely(form.decode, few, np.full(len(few), arrival, np.int64), context)
        if decoded.records > 2 * len(decoded.refusals):
            return form.name
    return None
