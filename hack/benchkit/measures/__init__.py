"""One module per measurement; each takes the bench and how much is wanted, and returns plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much to measure; None: what the measurement itself finds enough."""

    tenants: int | None = None
    pods: int | None = None
    repeat: int | None = None
    full: bool = False
