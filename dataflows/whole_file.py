"""A small file is there as a whole or not at all, whoever else writes it."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Raises OSError. The processes of a cluster may write the same file at once, so each has a draft of its own."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_text(text, "utf-8")
    draft.rename(path)
