"""Host names are DNS labels, readable, and differ wherever the tenant keys differ."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.names import MAX_LENGTH, host_name, host_names

LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
subdomains = st.from_regex(re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?"), fullmatch=True)


@given(tenant=subdomains, namespace=subdomains | st.just(""), name=subdomains)
def test_a_host_name_is_a_dns_label(tenant: str, namespace: str, name: str) -> None:
    result = host_name(tenant, namespace, name)
    assert LABEL.fullmatch(result)
    assert len(result) <= MAX_LENGTH


@given(keys=st.sets(st.tuples(subdomains, subdomains, subdomains), min_size=2, max_size=20))
def test_different_keys_have_different_names(keys: set[tuple[str, str, str]]) -> None:
    assert len({host_name(*key) for key in keys}) == len(keys)


def test_a_separator_inside_a_name_does_not_make_two_keys_equal() -> None:
    parts = ["a", "a-x-b", "b-x-c", "c", "x"]
    keys = list(product(parts, parts, parts))
    assert len({host_name(*key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("web-0", "web-0"), ("my.app", "my-app"), ("0-web", "x0-web"), ("a" * 45 + "." + "b" * 9, "a" * 45)],
)
def test_the_stem_stays_readable(name: str, stem: str) -> None:
    assert host_name("tenant-a", "default", name).rpartition("-")[0] == stem


@given(tenant=subdomains, namespace=subdomains, name=subdomains)
def test_the_earlier_name_is_a_shorter_hash_of_the_same(tenant: str, namespace: str, name: str) -> None:
    later, earlier = (text.rpartition("-") for text in host_names(tenant, namespace, name))
    assert LABEL.fullmatch("-".join((earlier[0], earlier[2])))
    assert (len(later[2]), later[2][:10]) == (16, earlier[2])
