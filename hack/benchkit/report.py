"""The report: results in, Markdown out. Text that depends on numbers is made here and nowhere else."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchkit import goals, model
from benchkit.comparing import compared
from benchkit.sections import SECTIONS
from benchkit.tables import KIB, MIB, PARTS, Results, cpu, table

_HEAD = """# Measured

Made by `hack/bench`; [performance.md](../performance.md) says how, and what it means. Ratios are tenant over
direct use of the host, each repeat's own; `a (b-c)` is the median and the range over the repeats.
"""


def write(folder: Path, results: Results, old: Results | None = None) -> None:
    """report.md and its plots, beside results.json."""
    from benchkit import plots  # noqa: PLC0415  matplotlib takes a second

    images = plots.draw(folder, results)
    (folder / "report.md").write_text(markdown(results, images, old))


def markdown(results: Results, images: Sequence[str] = (), old: Results | None = None) -> str:
    parts: list[str] = [_HEAD, *_about(results), *_goals(results)]
    for name, section in SECTIONS.items():
        if name in results:
            parts += section(results[name])
            parts += [f"![{name}]({image})\n" for image in sorted(images) if image.startswith(name)]
    parts += _limit(results)
    parts += _model(results)
    if old:
        parts += ["## Compared with an earlier run\n", table(compared(old, results))]
    return "\n".join(parts)


def _about(results: Results) -> Iterator[str]:
    rows: list[Sequence[object]] = [("measurement", "when (UTC)", "commit", "load of the machine before it")]
    rows += [
        (name, one["at"][:16], f"`{one['commit']}`", one["machine"]["load"][0])
        for name, one in sorted(results.items())
    ]
    machine = next(iter(results.values()))["machine"]
    yield (
        f"Machine: {machine['cpus']} CPUs, {machine['memory_gib']} GiB, Linux {machine['kernel']}; the lab "
        f"with Kubernetes {machine['kubernetes']}, {machine['nodes']} real node and fake ones of kwok.\n"
    )
    yield table(rows)
    if any(one["machine"]["load"][0] > machine["cpus"] for one in results.values()):
        yield (
            "**The machine did other work meanwhile**: its load was above its number of CPUs before some of "
            "these began. Counts and CPU seconds hold; times and rates are too slow, and ratios less sure.\n"
        )


def _goals(results: Results) -> Iterator[str]:
    rows: list[Sequence[object]] = [("goal", "limit", "measured", "")]
    for goal, value in goals.judged(results):
        limit = f"{'≤' if goal.at_most else '≥'} {goal.limit:g} {goal.unit}".strip()
        if value is None:
            rows.append((goal.what, limit, "not measured", ""))
        else:
            shown = f"{value:.3g} {goal.unit}".strip()
            rows.append((goal.what, limit, shown, "met" if goal.met(value) else "**missed**"))
    yield "## Against the design's goals\n"
    yield table(rows)


def _limit(results: Results) -> Iterator[str]:
    if "throughput" not in results:
        return
    yield (
        "## The limit\n\nA tenant's own API server, etcd and controller manager work on the same CPUs as the "
        "host's. Where CPU is all that limits, a syncer that costs nothing would reach this part of the rate "
        "of direct use:\n"
    )
    rows: list[Sequence[object]] = [
        ("pods", "tenants", "made: at best", "measured", "deleted: at best", "measured")
    ]
    for cell in results["throughput"]["cells"]:
        row: list[object] = [cell["pods"], cell["tenants"]]
        for part in PARTS:
            best = model.best_ratio(*(cpu(cell["runs"][arm], part) for arm in ("direct", "tenant")))
            row += [f"{best:.2f}" if best else "", f"{cell['ratio'][part]['median']:.2f}"]
        rows.append(row)
    yield table(rows)


def _model(results: Results) -> Iterator[str]:
    slopes = model.slopes(results)
    if slopes is None:
        return
    yield (
        "## A model of growth\n\nStraight lines from what was measured here, not a measurement: "
        f"{slopes.tenant_memory / MIB:.0f} MiB for an idle tenant, {slopes.tenant_private / MIB:.0f} of them "
        f"its own where tenants share a node, and {slopes.tenant_cpus:.3f} CPUs; "
        f"{slopes.pod_memory / KIB:.1f} KiB per pod in the tenants' components and "
        f"{slopes.pod_memory_host / KIB:.1f} KiB in the host's; {slopes.pod_cpu * 1000:.0f} ms and "
        f"{slopes.pod_cpu_host * 1000:.0f} ms of CPU to make and delete a pod; every pod lives for an hour.\n"
    )
    head = (
        *("tenants", "pods", "memory of tenants, GiB", "of that their own", "more on the host, GiB"),
        *("CPUs idle", "CPUs for churn, tenants", "host"),
    )
    rows: list[Sequence[object]] = [head]
    for tenants, pods in model.SCALES:
        one = model.cost(slopes, tenants, pods)
        rows.append(
            (
                *(
                    f"{one.tenants:,}",
                    f"{one.pods:,}",
                    f"{one.memory:.1f}",
                    f"{one.private:.1f}",
                    f"{one.memory_host:.2f}",
                ),
                *(f"{one.cpus_idle:.1f}", f"{one.cpus_churn:.2f}", f"{one.cpus_churn_host:.2f}"),
            )
        )
    yield table(rows)
