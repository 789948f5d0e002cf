"""What tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.living import broker_or_skip

collect_ignore = ["fuzzer.py"]  # needs atheris, which only `make fuzz` has

settings.register_profile("long", database=None, deadline=None, print_blob=True)  # see tests/test_formats_fuzz.py


@pytest.fixture
def broker() -> Iterator[str]:
    """Address of an empty Kafka broker of the test's own."""
    with broker_or_skip() as address:
        yield address
