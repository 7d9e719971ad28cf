"""Kubernetes quantities (`250m`, `1536Ki`, `1e3`) as exact numbers, and back.

Grammar: apimachinery, pkg/api/resource/quantity.go.
"""

import re
from decimal import ROUND_CEILING, Decimal

NANO = 10**9
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?")
_FACTORS = {
    "": Decimal(1),
    **{suffix: Decimal(10) ** power for suffix, power in (("n", -9), ("u", -6), ("m", -3))},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def quantity(text: str) -> Decimal:
    """The number that a text such as `500m` or `5Gi` stands for. Raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2 or 5Gi")
    suffix = match[2] or ""
    return Decimal(match[1]) * (_FACTORS.get(suffix) or Decimal(10) ** int(suffix[1:]))


def nanos(text: str) -> int:
    """Billionths, rounded up as the API rounds. Raises ValueError."""
    return int((quantity(text) * NANO).to_integral_value(ROUND_CEILING))


def text(nano: int) -> str:
    """The shortest exact form of those that metrics-server writes: `12345n`, `64Ki`, `7`."""
    whole, rest = divmod(nano, NANO)
    if rest:
        return f"{nano}n"
    return f"{whole // 1024}Ki" if whole and whole % 1024 == 0 else str(whole)
