"""`hack/bench`: which measurement, how much of it, and where the results go."""

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from benchkit import bench, report
from benchkit.bench import Bench, say
from benchkit.measures import Size, creates, fairness, filling, latency, smoke, streams, throughput
from labkit import lab, network
from labkit.cluster import Cluster
from labkit.lab import Lab
from labkit.steps import LabError

ROOT = Path(__file__).parents[2]
RESULTS = "results.json"
Measure = Callable[[Bench, Size], Awaitable[dict[str, Any]]]
Keep = Callable[[dict[str, Any]], None]
MEASURES: Mapping[str, Measure] = {
    "create": creates.measure,
    "latency": latency.measure,
    "throughput": throughput.measure,
    "fairness": fairness.measure,
    "memory": filling.memory,
    "restart": filling.restart,
    "streams": streams.measure,
    "smoke": smoke.measure,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", nargs=-1, required=True, type=click.Choice([*MEASURES, "all", "report"]))
@click.option("--tenants", type=click.IntRange(1, 40), help="Tenants at once.")
@click.option("--pods", type=click.IntRange(4, 20_000), help="Pods, or streams, in all.")
@click.option("--repeat", type=click.IntRange(1, 20), help="Times that direct and tenant take turns.")
@click.option("--full", is_flag=True, help="The whole matrix, for hours, in place of minutes.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "bench", help="Results.")
@click.option("--compare", type=click.Path(path_type=Path, exists=True), help="Earlier results.json.")
@click.option("--record", is_flag=True, help="smoke: make what is measured the budget.")
@click.option(
    "--minutes", type=click.IntRange(1, 600), help="Most that it may take.  [default: 15; full: 300]"
)
def command(
    what: tuple[str, ...],
    tenants: int | None,
    pods: int | None,
    repeat: int | None,
    full: bool,
    out: Path,
    compare: Path | None,
    record: bool,
    minutes: int | None,
) -> None:
    """Measure WHAT on the lab that VCP_LAB names, direct use and tenants in one run, and write the report.

    `all` measures everything but the smoke counts, in a quarter of an hour; what finds no time is left out.
    `report` only writes the report of the results that are there. `smoke` compares counts with the recorded
    budget, and fails if one exceeds it.
    """
    size = Size(tenants, pods, repeat, full)
    seconds = 60.0 * (minutes or (300 if full else 15))
    if "smoke" in what:
        found: dict[str, Any] = {}
        if not measured(["smoke"], size, seconds, found.update):
            sys.exit(1)
        result = found["smoke"]
        if record:
            smoke.record(result)
        told = smoke.judged(result)
        click.echo("".join(f"✗ {line}\n" for line in told) or "✓ within the budget")
        sys.exit(1 if told else 0)
    complete = True
    old = read(compare) if compare else None  # first: it may be what is about to be written
    if what != ("report",):
        wanted = [one for one in MEASURES if one != "smoke" and ("all" in what or one in what)]
        complete = measured(wanted, size, seconds, functools.partial(keep, out / RESULTS))
    if (out / RESULTS).exists():
        report.write(out, read(out / RESULTS), old)
        say(f"The report is in {out}.")
    sys.exit(0 if complete else 1)


def measured(wanted: Sequence[str], size: Size, seconds: float, keep: Keep) -> bool:
    """Whether all was measured; each result is handed over as soon as it is there."""
    cluster = Cluster(Lab(os.environ.get("VCP_LAB", lab.DEFAULT_NAME)))
    cluster.require_up()
    with tempfile.TemporaryDirectory(prefix="vcp-bench-") as folder, network.entered(cluster.lab.namespace):
        return asyncio.run(_measured(cluster, Path(folder), wanted, size, seconds, keep))


async def _measured(
    cluster: Cluster, folder: Path, wanted: Sequence[str], size: Size, seconds: float, keep: Keep
) -> bool:
    end, failed, done = time.monotonic() + seconds, [], set[str]()
    async with bench.prepared(cluster, folder) as made:
        for name in wanted:
            if name in done:
                continue
            began = time.monotonic()
            say(f"… {name}")
            about = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "commit": _commit(),
                "machine": bench.machine(cluster),
            }
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + end - began):
                    found = await _one(made, name, wanted, size)
            except Exception as error:  # what the others measure is worth having
                failed.append(name)
                say(f"✗ {name} ({time.monotonic() - began:.0f} s): {type(error).__name__} {error}")
                continue
            keep({part: {**about, **result} for part, result in found.items()})
            done |= found.keys()
            say(f"✓ {' and '.join(found)} ({time.monotonic() - began:.0f} s)")
    return not failed


async def _one(made: Bench, name: str, wanted: Sequence[str], size: Size) -> dict[str, dict[str, Any]]:
    """Results by measurement: memory and restart share a filled tenant."""
    if name == "memory" and "restart" in wanted:
        return await filling.both(made, size)
    return {name: await MEASURES[name](made, size)}


def keep(path: Path, results: dict[str, Any]) -> None:
    """New results over those of the same measurements; the others stay."""
    bench.written(path, (read(path) if path.exists() else {}) | results)


def read(path: Path) -> dict[str, Any]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    try:
        command()
    except LabError as error:
        say(f"hack/bench: {error}")
        sys.exit(1)
