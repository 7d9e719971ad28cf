"""Unit tests wait for nothing: their event loops turn a clock of their own, and no example is timed."""

from collections.abc import Mapping

from hypothesis import settings
from virtualtime import VirtualTimeLoop

settings.register_profile("untimed", deadline=None)  # a busy machine is no bug
settings.load_profile("untimed")


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual-time": VirtualTimeLoop}
