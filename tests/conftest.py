"""What tests share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.living import broker_or_skip

collect_ignore = ["fuzzer.py"]  # needs atheris, which only `make fuzz` has

settings.register_profile("long", database=None, deadline=None, print_blob=True)  # see tests/test_formats_fuzz.py


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with few tests first: theirs take long, and one that is begun last is waited for by all other processes."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))


@pytest.fixture
def broker() -> Iterator[str]:
    """Address of an empty Kafka broker of the test's own."""
    with broker_or_skip() as address:
        yield address
