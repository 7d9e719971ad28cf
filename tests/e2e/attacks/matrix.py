"""The tables of docs/security.md that say who reaches whom, made from what was seen."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from labkit.lab import Lab

from .reaching import Target
from .sides import Origins, Rows, Side

BEGIN, END = "<!-- reach: by tests/e2e/attacks/test_reach.py -->\n", "<!-- /reach -->"
INSIDE = {"pods": "a pod", "api": "API server", "etcd": "etcd", "syncer": "syncer", "dns": "DNS"}
OUTSIDE = {"host": "a pod of the host", "node": "another node", "world": "the world"}
OWN, OTHERS, HOSTS = "own", "another tenant's", "the host's"

Seen = Mapping[Path, Collection[Target]]
Table = dict[tuple[str, str], str]  # (row, column) -> what was seen


def inside(tenant: Side, other: Side, host: Side, seen: Seen) -> Table:
    """What a tenant's pods and the parts of its control plane reach."""
    table: Table = {}
    for whose, rows in ((OWN, tenant.rows), (OTHERS, other.rows), (HOSTS, host.rows)):
        for row, column, pairs in _pairs(INSIDE, tenant.origins, rows):
            table[f"{whose} {row}" if row != "the world" else row, column] = _cell(pairs, seen)
    return table


def outside(lab: Lab, tenant: Side, host: Side, seen: Seen) -> Table:
    """What of a tenant is reached by others; by a node, if the pod runs on another one."""
    homes = {node.addresses.node: node.addresses.pods.removesuffix("0/24") for node in lab.nodes()}
    table: Table = {}
    for row, column, pairs in _pairs(OUTSIDE, host.origins, tenant.rows):
        asked = [
            (address, origin, target)
            for address, origin, target in pairs
            if column == "host"
            or (
                target.address.startswith("10.42.") and not target.address.startswith(homes.get(address, "-"))
            )
        ]
        table[row, column] = _cell(asked, seen)
    return table


def _pairs(
    columns: Collection[str], origins: Origins, rows: Rows
) -> Iterator[tuple[str, str, list[tuple[str, Path, Target]]]]:
    """All pairs of an origin and a target for each cell; what never leaves a pod is none."""
    for row, targets in rows.items():
        for column in columns:
            yield (
                row,
                column,
                [
                    (address, origin, target)
                    for address, origin in origins[column].items()
                    for target, own in targets.items()
                    if own != address
                ],
            )


def _cell(pairs: Collection[tuple[str, Path, Target]], seen: Seen) -> str:
    """`yes` and `no` if that is true of all; the ports that are reached if it depends on these alone."""
    ports: dict[int, set[bool]] = {}
    for _, origin, target in pairs:
        ports.setdefault(target.port, set()).add(target in seen[origin])
    if not ports:
        return "itself"
    if any(len(states) > 1 for states in ports.values()):
        return "in part: " + ", ".join(
            f"{address} to {target.address}:{target.port}"
            for address, origin, target in pairs
            if target in seen[origin]
        )
    states = {state for found in ports.values() for state in found}
    if len(states) > 1:
        return ", ".join(str(port) for port, found in sorted(ports.items()) if found == {True})
    return "yes" if states == {True} else "no"


def page(text: str, inner: Table, outer: Table) -> str:
    """The page with both tables between the marks."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    tables = f"{_drawn('to, from', INSIDE, inner)}\n{_drawn('to a tenant, from', OUTSIDE, outer)}"
    return f"{before}{BEGIN}{tables}{END}{after}"


def _drawn(corner: str, columns: Mapping[str, str], table: Table) -> str:
    lines = [f"| {corner} | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for row in dict.fromkeys(row for row, _ in table):
        cells = [table[row, column] for column in columns]
        lines.append(f"| {row} | {' | '.join('' if cell == 'no' else cell for cell in cells)} |")
    return "\n".join(lines) + "\n"
