"""What a process made before its first message is not searched for garbage again.

Modules, the engine's graph and compiled loops are some hundred thousand objects that live as long as the process. Python's
collector goes through all of them each time that enough has been made since, and holds the input up for 85 ms: 14 % of the CPU
of a replay of ODE JSON, of which every message makes objects:
docs/decisions.md#the-heap-of-the-start-is-kept-out-of-the-collectors-way.
"""

from __future__ import annotations

import gc


def build_up() -> None:
    """Until `settle` nothing is searched for garbage: importing and loading make little, and take a fifth longer with it."""
    gc.disable()


def settle() -> None:
    """Throw away what is garbage now, and keep the rest out of the collector's way."""
    gc.enable()
    gc.collect()
    gc.freeze()
