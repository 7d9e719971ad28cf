"""`hack/bench`: which measurement, how much of it, and where the results go."""

import asyncio
import functools
import os
import signal
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
from benchkit.measures import Size, creates, fairness, filling, latency, profile, smoke, streams, throughput
from labkit import lab, network
from labkit.cluster import Cluster
from labkit.lab import Lab
from labkit.steps import LabError

ROOT = Path(__file__).parents[2]
RESULTS = "results.json"
Measure = Callable[[Bench, Size], Awaitable[dict[str, Any]]]
Keep = Callable[[dict[str, Any]], None]
# In this order, so that short time is missed by the largest cells of throughput, and by nothing else.
MEASURES: Mapping[str, Measure] = {
    "create": creates.measure,
    "latency": latency.measure,
    "streams": streams.measure,
    "fairness": fairness.measure,
    "memory": filling.memory,
    "restart": filling.restart,
    "profile": profile.measure,
    "throughput": throughput.measure,
    "smoke": smoke.measure,
}
_NOT_IN_ALL = ("profile", "smoke")
_REMOVING = 0.04  # of the time, left for removing what was made


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", nargs=-1, required=True, type=click.Choice([*MEASURES, "all", "report"]))
@click.option("--tenants", type=click.IntRange(1, 40), help="Tenants at once.")
@click.option("--pods", type=click.IntRange(4, 20_000), help="Pods, or streams, in all.")
@click.option("--repeat", type=click.IntRange(1, 20), help="Times that direct and tenant take turns.")
@click.option("--full", is_flag=True, help="The whole matrix, in an hour and a quarter.")
@click.option("--profile", "sampled", is_flag=True, help="Sample the syncer, too.  [default with --full]")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "bench", help="Results.")
@click.option("--compare", type=click.Path(path_type=Path, exists=True), help="Earlier results.json.")
@click.option("--record", is_flag=True, help="smoke: make what is measured the budget.")
@click.option(
    "--minutes", type=click.IntRange(1, 600), help="Most that it may take.  [default: 15; full: 75]"
)
def command(
    what: tuple[str, ...],
    tenants: int | None,
    pods: int | None,
    repeat: int | None,
    full: bool,
    sampled: bool,
    out: Path,
    compare: Path | None,
    record: bool,
    minutes: int | None,
) -> None:
    """Measure WHAT on the lab that VCP_LAB names, direct use and tenants in one run, and write the report.

    `all` measures everything but the smoke counts, in a quarter of an hour; what finds no time is left out.
    `profile` samples the syncer's process while pods are made and deleted.
    `report` only writes the report of the results that are there. `smoke` compares counts with the recorded
    budget, and fails if one exceeds it.
    """
    size = Size(tenants, pods, repeat, full)
    seconds = 60.0 * (minutes or (75 if full else 15))
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
        named = {*what, *(("profile",) if sampled or (full and "all" in what) else ())}
        wanted = [one for one in MEASURES if one in named or ("all" in what and one not in _NOT_IN_ALL)]
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
        try:
            return asyncio.run(_measured(cluster, Path(folder), wanted, size, seconds, keep))
        except asyncio.CancelledError:  # by SIGTERM
            return False


async def _measured(
    cluster: Cluster, folder: Path, wanted: Sequence[str], size: Size, seconds: float, keep: Keep
) -> bool:
    loop = asyncio.get_running_loop()
    if task := asyncio.current_task():
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    end, failed, done = loop.time() + seconds * (1 - _REMOVING), [], set[str]()
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
            made.keep = functools.partial(_kept, keep, about)
            try:
                async with asyncio.timeout_at(end):
                    found = await _one(made, name, wanted, size)
            except Exception as error:  # what the others measure is worth having
                failed.append(name)
                say(f"✗ {name} ({time.monotonic() - began:.0f} s): {type(error).__name__} {error}")
                await made.clean()  # so that the next finds nothing that is half done
                continue
            made.keep(found)
            done |= found.keys()
            say(f"✓ {' and '.join(found)} ({time.monotonic() - began:.0f} s)")
    return not failed


async def _one(made: Bench, name: str, wanted: Sequence[str], size: Size) -> Mapping[str, Mapping[str, Any]]:
    """Results by measurement: memory and restart share a filled tenant."""
    if name == "memory" and "restart" in wanted:
        return await filling.both(made, size)
    return {name: await MEASURES[name](made, size)}


def _kept(keep: Keep, about: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> None:
    keep({name: {**about, **result} for name, result in found.items()})


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
