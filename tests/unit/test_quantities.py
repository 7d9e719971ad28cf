"""Quantities are read exactly, rounded up below a billionth, and written as metrics-server does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.quantities import NANO, nanos, text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", 0),
        ("2", 2 * NANO),
        ("1234567n", 1234567),
        ("1.5u", 1500),
        ("250m", NANO // 4),
        ("0.1n", 1),
        ("1Ki", 1024 * NANO),
        ("1.5Gi", 3 * 2**29 * NANO),
        ("12k", 12_000 * NANO),
        ("1e3", 1000 * NANO),
        ("5E-1", NANO // 2),
        ("1E", 10**18 * NANO),
        (".5", NANO // 2),
        ("+1", NANO),
    ],
)
def test_every_form_is_read(written: str, expected: int) -> None:
    assert nanos(written) == expected


@pytest.mark.parametrize("written", ["", ".", "1e999", "1.2.3", "1 Ki", "1ki", "x", "1Kib", "--1"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        nanos(written)


@pytest.mark.parametrize(
    ("nano", "expected"), [(0, "0"), (NANO, "1"), (1, "1n"), (1024 * NANO, "1Ki"), (1025 * NANO, "1025")]
)
def test_the_shortest_form_is_written(nano: int, expected: str) -> None:
    assert text(nano) == expected


@given(st.integers(min_value=0, max_value=10**24))
def test_what_is_written_reads_the_same(nano: int) -> None:
    assert nanos(text(nano)) == nano
