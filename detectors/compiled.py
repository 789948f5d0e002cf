"""Loops over rows, compiled to machine code by numba when they are first run, and kept on disk for the next start.

A pane of a shard has some hundred rows: in numpy each step over them costs more by the call than by the row, and every
intermediate array is written and read again. One compiled loop that does all steps for one row after the other takes a tenth
to a sixtieth of that time (docs/decisions.md#loops-over-rows-are-compiled), and reads like the plain Python that it is: the
tests run the same loops uncompiled, and they must say the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile for the types of the arguments it is called with: arrays of numbers or of rows, and plain numbers.

    The shell's loops over rows (order, grouping, counts) are compiled with it as well.

    A loop makes no arrays: it is given those that it writes to. So numba need not count who holds them (`_nrt`), which cost
    up to a quarter of a detector's time (docs/decisions.md#a-compiled-loop-holds-nobodys-arrays); whoever makes one is told so
    when it is compiled.

    Inside, division by zero gives infinity or NaN as in numpy. No order of additions is changed and none is fused, so that
    every machine says the same. Where no directory can be written the machine code is made anew at every start.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # NUMBA_DISABLE_JIT=1: plain Python, for tests and debuggers
        return function
    made: Any = numba.njit(error_model="numpy", _nrt=False)(function)  # type: ignore[call-overload]  # it is in no signature
    try:
        made.enable_caching()
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
    return cast(F, made)


class _OfThePackage:
    """numba looks at a function's own file only; what it calls and its constants come from others beside it and from here."""

    def get_source_stamp(self) -> tuple[float, int]:
        here, beside = _stamp(Path(__file__).parent), _stamp(Path(self._py_file).parent)  # type: ignore[attr-defined]
        return max(here[0], beside[0]), here[1] + beside[1]


@lru_cache
def _stamp(package: Path) -> tuple[float, int]:
    """When the newest module of a package was written, and the size of all."""
    modules = [path.stat() for path in package.glob("*.py")]
    return max(module.st_mtime for module in modules), sum(module.st_size for module in modules)


class Provided(_OfThePackage, UserProvidedCacheLocator):
    """In NUMBA_CACHE_DIR, if that is set."""


class Beside(_OfThePackage, InTreeCacheLocator):
    """In __pycache__, beside Python's own."""


class AtHome(_OfThePackage, UserWideCacheLocator):
    """In the user's cache directory, where the package itself is read-only."""


_LOCATORS = (Provided, Beside, AtHome)
numba.config.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{each.__name__}" for each in _LOCATORS)  # type: ignore[attr-defined]
