"""Unit tests wait for nothing: their event loops turn a clock of their own."""

from collections.abc import Mapping

from virtualtime import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual-time": VirtualTimeLoop}
