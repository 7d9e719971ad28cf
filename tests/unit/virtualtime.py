"""An event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never blocks; the time that it should have waited is handed to the loop."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen: every task waits without a deadline")
            self.waited += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._turned = _Selector()
        super().__init__(self._turned)

    def time(self) -> float:
        return self._turned.waited

    def turn(self, seconds: float) -> None:
        """A process that stood still for so long, e.g. a suspended machine."""
        self._turned.waited += seconds
