"""How long to wait before what has failed is tried again: twice as long each time, up to a limit."""

import random
from typing import NamedTuple


class Backoff(NamedTuple):
    """`first` and `longest` in seconds; `spread` is the part of a pause that is left to chance, so that
    those that failed together do not come back together."""

    first: float
    longest: float
    spread: float = 0.5

    def pause(self, failures: int) -> float:
        """Seconds, after so many failures in a row."""
        whole = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return whole * random.uniform(1 - self.spread, 1)  # noqa: S311  no secret
