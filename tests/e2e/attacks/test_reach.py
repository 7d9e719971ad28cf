"""Who reaches whom on a host that enforces NetworkPolicies, by traffic.

Two tenants with pods on every node, and all parts of their control planes, are tried against each other and
against the host. What is seen makes the tables in docs/security.md: a page that says something else fails.
UPDATE_MATRIX=1 writes it anew.
"""

import os
import time
from pathlib import Path

import pytest

from ..conftest import ROOT, LabUser, eventually
from ..workloads.conftest import Place
from . import matrix
from .dialling import WAYS, Way, by_service, is_reached, is_unreached, name_of
from .reaching import Target, reached
from .sides import METADATA, Side, side

PAGE = ROOT / "docs" / "security.md"

# What must be reached, by row; nothing else may be.
INSIDE = {
    "own pods and Services": {"pods": "yes", "api": "yes"},
    "own API server": {"pods": "yes", "syncer": "yes", "dns": "yes"},
    "own DNS": {"pods": "yes", "api": "yes"},
    "own etcd": {"api": "yes"},
    "own syncer": {"api": "yes"},
    "the host's API": {"syncer": "yes"},
    "the host's DNS": {"syncer": "yes", "dns": "yes"},
    "the host's link-local addresses": {"dns": "53"},  # where the resolver of many clouds is
    "the world": {"pods": "yes", "dns": "53"},
}
OUTSIDE = {
    "pods and Services": {"world": "yes"},
    "API server": {"host": "yes", "node": "yes", "world": "yes"},
}


def test_each_part_reaches_what_it_needs_and_nothing_else(
    lab: LabUser, two: tuple[Place, Place], host: Side
) -> None:
    tenants = [side(place) for place in two]
    asked = {target for one in (*tenants, host) for row in one.rows.values() for target in row}
    silent = set(asked)

    def quiet() -> bool:
        """A Service leads to a pod of its choice, at times on the other node."""
        silent.difference_update(answering(lab, host, silent))
        return not silent

    eventually("all that is tried listens", quiet)

    def look() -> list[tuple[matrix.Table, matrix.Table]]:
        seen: dict[Path, set[Target]] = {}
        for one in (*tenants, host):
            seen |= reached({path: asked for part in one.origins.values() for path in part.values()})
        return [
            (matrix.inside(one, other, host, seen), matrix.outside(lab.lab, one, host, seen))
            for one, other in (tenants, tenants[::-1])
        ]

    before = look()

    def settled() -> bool:
        """An engine has the policies of a new pod a moment after the pod runs."""
        nonlocal before
        time.sleep(1)
        last, before = before, look()
        return last == before and all(wrong(*found) == {} for found in before)

    try:
        eventually("only what is expected is reached", settled, seconds=40)
    except AssertionError:
        assert [wrong(*found) for found in before] == [{}, {}]
        raise
    first, second = before
    assert first == second
    text = PAGE.read_text()
    if os.environ.get("UPDATE_MATRIX"):
        PAGE.write_text(matrix.page(text, *first))
    assert PAGE.read_text() == matrix.page(text, *first), "UPDATE_MATRIX=1 writes the page anew"


def answering(lab: LabUser, host: Side, targets: set[Target]) -> set[Target]:
    """Those that listen at all: reached from a node, one of which is their own, or from outside."""
    places = [*(node.namespace for node in lab.lab.nodes()), *host.origins["world"].values()]
    found = reached(dict.fromkeys(places, targets))
    return {target for there in found.values() for target in there}


def wrong(inner: matrix.Table, outer: matrix.Table) -> matrix.Table:
    """The cells that are not as they must be."""
    return {
        (row, column): cell
        for table, wanted in ((inner, INSIDE), (outer, OUTSIDE))
        for (row, column), cell in table.items()
        if cell not in (wanted.get(row, {}).get(column, "no"), "itself")
    }


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_api_server_is_no_way_out_for_its_tenant(two: tuple[Place, Place], host: Side, way: Way) -> None:
    """Whatever the tenant makes it dial: it reaches their own pods, as it should, and no one else."""
    place, other = two
    own = first(side(place), "pods and Services")
    strangers = [first(side(other), row) for row in ("pods and Services", "API server", "etcd", "syncer")]
    rows = ("API", "kubelets", "pods", "link-local addresses", "the world")
    strangers += [first(host, row) for row in rows]
    if way is by_service:  # whose API refuses such Endpoints at once
        strangers = [one for one in strangers if one.address != METADATA]
    said = way(place, [own, *strangers])
    assert is_reached(said[own]), said[own]
    assert {one: text for one, text in said.items() if not is_unreached(text)} == {own: said[own]}
    if way is by_service:
        # Nor do the host's nodes lead anybody there: of those addresses, only the world's are on the host.
        services = {one: Target(address_of(place, name_of(one)), one.port) for one in said}
        origins = [*side(place).origins["pods"].values(), *host.origins["host"].values()]
        found = reached(dict.fromkeys(origins, services.values()))
        assert {one for there in found.values() for one in there} <= {
            services[own],
            services[first(host, "the world")],
        }


def address_of(place: Place, service: str) -> str:
    found: str = place.get("service", service)["spec"]["clusterIP"]
    return found


def first(one: Side, row: str) -> Target:
    """A target of a row that is a pod or a node, not a Service; for link-local addresses, what there is."""
    found = [
        target for target in one.rows[row] if target.protocol == "TCP" and target.address[:6] != "10.43."
    ]
    return found[0]
