"""How many examples a fuzz test runs: the same few each time in CI, and fifty times as many in a soak.

The profiles are registered in conftest.py. They are asked for by name and never loaded, because what is
loaded holds for the tests of all directories in one run.
"""

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

SOAK = bool(os.environ.get("VCP_SOAK"))
_TIMES = 50  # as many examples in a soak
_LIMIT = 240.0  # seconds of a soak for each test, without what hypothesis takes to shrink a failure
_TIMEOUT = 1800  # seconds after which pytest ends a test with a stack dump


def examples(count: int) -> Callable[[Any], Any]:
    """Runs a property test with `count` examples, or with those of a soak.

    Stands above `@given`. In a soak, examples beyond the time limit pass unseen, unless one has failed: that
    one is still to be made small."""

    def decorated(test: Any) -> Any:
        if SOAK:
            test.hypothesis.inner_test = _bounded(test.hypothesis.inner_test)
        profile = settings.get_profile("fuzz-soak" if SOAK else "fuzz")
        configured = settings(profile, max_examples=count * (_TIMES if SOAK else 1))
        return pytest.mark.timeout(_TIMEOUT)(configured(test))

    return decorated


def _bounded(test: Callable[..., None]) -> Callable[..., None]:
    started = 0.0
    failed = False

    @functools.wraps(test)
    def bounded(*args: Any, **kwargs: Any) -> None:
        nonlocal started, failed
        started = started or time.monotonic()
        if not failed and time.monotonic() - started > _LIMIT:
            return
        try:
            test(*args, **kwargs)
        except Exception:
            failed = True
            raise

    return bounded
