"""Where the syncer's own time goes while many pods are made and deleted: its process, sampled from outside.

A round of its own, because a sampled process is paused each time; none of its figures counts elsewhere.
"""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from benchkit import generator, pods, processes, stacks
from benchkit.bench import Bench, say
from benchkit.measures import Size
from benchkit.measures.throughput import IN_FLIGHT, SLOWEST

_PER_SECOND = 100
_FUNCTIONS = 20
_SEEN = 0.005  # of all samples, below which a frame is not drawn
_ENDING = 60.0


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    count = size.pods or 1250
    (tenant,) = await bench.have_tenants(1)
    await bench.have_fakes(count)
    await bench.quiet()
    deadline = 30.0 + count / SLOWEST
    pid = processes.pid_of(await bench.snapshot([tenant]), "syncer")
    result: dict[str, Any] = {"pods": count, "per_second": _PER_SECOND}
    target = bench.through(tenant, count=count, in_flight=IN_FLIGHT)
    with tempfile.TemporaryDirectory(prefix="vcp-profile-") as folder:
        async with generator.running([target]) as load:
            for part in ("creates", "deletes"):
                say(f"  {count} pods, {part}, sampled")
                file = Path(folder) / part
                async with _sampled(pid, file):
                    if part == "creates":
                        answer = await load.create(pods.fake(), deadline=deadline)
                    else:
                        answer = await load.delete(deadline=deadline)
                result[part] = _summary(file.read_text()) | {"complete": answer.complete}
    return result


@contextlib.asynccontextmanager
async def _sampled(pid: int, file: Path) -> AsyncIterator[None]:
    """py-spy beside the process until the end of the block; then `file` has what it saw."""
    program = Path(sys.executable).with_name("py-spy")
    if not program.exists():
        raise RuntimeError("py-spy is not installed: requirements/bench.lock")
    how = ("--rate", str(_PER_SECOND), "--format", "raw", "--function", "--output", str(file))
    process = await asyncio.create_subprocess_exec(
        *(str(program), "record", "--pid", str(pid), *how),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(_ENDING):
            _, said = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"py-spy wrote nothing: {said.decode(errors='replace').strip()}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _summary(text: str) -> dict[str, Any]:
    found, waited = stacks.parse(text)
    samples = sum(found.values())
    return {
        "samples": samples,
        "waited": waited,
        "own": stacks.own(found, _FUNCTIONS),
        "packages": stacks.packages(found),
        "tree": stacks.tree(found, max(1, round(samples * _SEEN))),
    }
