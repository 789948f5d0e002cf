"""The errors that a person is told of: they end the program with one sentence, which says what, where, and what to do."""

from __future__ import annotations

from typing import ClassVar


class ToldError(Exception):
    """Its text is the sentence. Here, where importing it costs nothing, so that a command loads only what it needs."""

    exit_code: ClassVar[int] = 1
