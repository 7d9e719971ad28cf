"""The report's section of each measurement. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from benchkit import model, stats
from benchkit.tables import (
    FOREIGN,
    KIB,
    PARTS,
    Results,
    cpu,
    heads,
    mib,
    milliseconds,
    rates,
    seconds,
    spread,
    table,
)

_SHOWN = 0.005  # share of a package in the profile, below which it has no row


def _create(one: Results) -> Iterator[str]:
    alone, together = one["alone"], one["together"]
    yield f"## Create\n\nSeconds; {one['repeat']} times alone, and {together['tenants']} at once.\n"
    names = {
        "usable": "`create` to usable API",
        "returned": "`create` to its end: API, syncer and DNS ready, isolation verified",
        "pod": "`create` to the first pod Running, on a real node",
        "deleted": "`delete`, namespaces gone",
    }
    rows: list[Sequence[object]] = [("", "alone", f"{together['tenants']} at once")]
    rows += [(text, spread(alone[name]), spread(together[name])) for name, text in names.items()]
    yield table(rows)
    rows = [("step of `create`", "alone", f"{together['tenants']} at once")]
    rows += [(name, took, together["steps"].get(name, "")) for name, took in alone["steps"].items()]
    yield table(rows)
    idle = one["idle"]
    yield (
        "The working set is what Kubernetes counts as a pod's memory, from its containers' cgroups; resident "
        "counts for each process also the pages of files that others map, the programs first of all.\n"
    )
    sizes = [name for name in ("working", "memory", "private") if name in idle]
    titles = {"working": "working set, MiB", "memory": "resident, MiB", "private": "of that private, MiB"}
    rows = [("an idle tenant's", *(titles[name] for name in sizes), "CPUs")]
    rows += [
        (part, *(mib(idle[name][part]) for name in sizes), f"{idle['cpus'][part]:.3f}")
        for part in sorted(idle["memory"])
    ]
    totals = [mib(sum(idle[name].values())) for name in sizes]
    rows.append(("all", *totals, f"{sum(idle['cpus'].values()):.3f}"))
    yield table(rows)


def _latency(one: Results) -> Iterator[str]:
    yield f"## Latency\n\nMilliseconds, {one['pods']} pods on each side in turn, one at a time.\n"
    rows: list[Sequence[object]] = [("from create to", *heads("direct"), *heads("tenant"))]
    rows += [
        (step, *milliseconds(one["direct"][step]), *milliseconds(one["tenant"][step]))
        for step in ("answered", "bound", "running")
    ]
    rows.append(
        ("delete to gone", *milliseconds(one["gone"]["direct"]), *milliseconds(one["gone"]["tenant"]))
    )
    yield table(rows)
    rows = [("stretch of the way", "p50", "p90", "p99")]
    rows += [(name, *milliseconds(values)) for name, values in one["parts"].items()]
    yield table(rows)
    yield "As the servers and the syncer count by themselves, means:\n"
    rows = [("", "ms"), *((name, f"{value * 1000:.1f}") for name, value in one["servers"].items())]
    yield table(rows)


def _throughput(one: Results) -> Iterator[str]:
    yield "## Throughput\n\nPods per second, from the first request to the last pod Ready or gone.\n"
    rows: list[Sequence[object]] = [
        ("pods", "tenants", "made, direct", "tenant", "ratio", "deleted, direct", "tenant", "ratio")
    ]
    latencies: list[Sequence[object]] = [
        ("pods", "tenants", "p50 direct, s", "p99 direct, s", "p50 tenant, s", "p99 tenant, s", "incomplete")
    ]
    for cell in one["cells"]:
        runs = cell["runs"]
        row: list[object] = [cell["pods"], cell["tenants"]]
        for part in ("creates", "deletes"):
            row += [rates(runs[arm], part) for arm in ("direct", "tenant")]
            row.append(spread(cell["ratio"][part], 2))
        rows.append(row)
        ready = [
            stats.spread([run["creates"]["ready"].get(share, 0.0) for run in runs[arm]])
            for arm in ("direct", "tenant")
            for share in ("p50", "p99")
        ]
        broken = sum(not run[part]["complete"] for arm in runs.values() for run in arm for part in PARTS)
        latencies.append((cell["pods"], cell["tenants"], *(f"{one.median:.2f}" for one in ready), broken))
    yield table(rows)
    for cell in one.get("missing", ()):
        yield f"Not measured: {cell['pods']} pods, {cell['tenants']} tenants ({cell['why']}).\n"
    yield "From create to Ready:\n"
    yield table(latencies)
    for cell in one["cells"]:
        yield f"CPU seconds per 1,000 pods, {cell['pods']} pods, {cell['tenants']} tenants:\n"
        yield table(_cpu_rows(cell))


def _cpu_rows(cell: Results) -> Iterator[Sequence[object]]:
    yield ("component", "made, direct", "made, tenant", "deleted, direct", "deleted, tenant", "memory, MiB")
    columns = [cpu(cell["runs"][arm], part) for part in PARTS for arm in ("direct", "tenant")]
    memory = cell["runs"]["tenant"][-1]["memory"]
    ours = [name for name in sorted(set().union(*columns)) if name not in FOREIGN]
    for name in ours:
        values = (f"{column.get(name, 0.0):.1f}" for column in columns)
        yield (name, *values, mib(memory[name]) if name in memory else "")
    yield (
        "all of these",
        *(f"{sum(column.get(name, 0.0) for name in ours):.1f}" for column in columns),
        mib(sum(memory.get(name, 0) for name in ours)),
    )
    for name in FOREIGN:
        yield (f"*{name}*", *(f"{column.get(name, 0.0):.1f}" for column in columns), "")


def _fairness(one: Results) -> Iterator[str]:
    yield (
        f"## Fairness\n\nOne greedy tenant with {one['greedy_pods']} pods at once, and "
        f"{one['small_tenants']} small ones with {one['small_pods']} each, which start 3 s later. Direct: "
        "the same in namespaces of the host. Seconds from create to Ready.\n"
    )
    rows: list[Sequence[object]] = [("", *heads("direct"), *heads("tenant"))]
    rows += [
        (name, *seconds(one["direct"][name]), *seconds(one["tenant"][name]))
        for name in ("small alone", "small beside greedy", "greedy")
    ]
    yield table(rows)


def _memory(one: Results) -> Iterator[str]:
    yield (
        "## Memory\n\nMiB resident, of one tenant that is filled step by step; KiB per pod by the line "
        "through all steps but the first, after which buffers and heaps have grown.\n"
    )
    points = one["points"]
    names = [name for name in sorted(points[0]["memory"]) if model.of_tenants(name) or model.of_host(name)]
    rows: list[Sequence[object]] = [("", *(f"{point['pods']} pods" for point in points), "KiB per pod")]
    rows += [
        (
            name,
            *(mib(point["memory"].get(name, 0)) for point in points),
            f"{one['per_pod'].get(name, 0.0) / KIB:.1f}",
        )
        for name in names
    ]
    yield table(rows)
    if not all("working" in point for point in points):
        return
    yield "The tenant's working set by its cgroups, MiB:\n"
    rows = [("", *(f"{point['pods']} pods" for point in points))]
    rows += [
        (name, *(mib(point["working"].get(name, 0)) for point in points))
        for name in sorted(points[-1]["working"])
    ]
    rows.append(("all", *(mib(sum(point["working"].values())) for point in points)))
    yield table(rows)


def _restart(one: Results) -> Iterator[str]:
    yield (
        f"## Restart\n\nThe syncer is killed with {one['pods']} pods in its tenant, {one['repeat']} times. "
        "The kubelet waits ten seconds before it starts a container again that ended twice.\n"
    )
    head = (
        *("kill", "new process, s", "in step, s", "of that the syncer's, s", "new pod Ready, s"),
        *("writes", "host pods touched", "tenant API silent, s", "memory, MiB"),
    )
    rows: list[Sequence[object]] = [head]
    for number, run in enumerate(one["runs"], 1):
        times = (f"{run[name]:.2f}" for name in ("process", "in_step", "own", "new_pod"))
        counts = (f"{sum(run['writes'].values()):g}", run["host_pods_touched"])
        rows.append((number, *times, *counts, f"{run['tenant_api_away']:.2f}", mib(run["syncer_memory"])))
    yield table(rows)
    yield "The writes include those for the one new pod, which is made and deleted at once.\n"


def _streams(one: Results) -> Iterator[str]:
    yield f"## Streams\n\n{one['streams']} at once, on {one['pods']} real pods.\n"
    rows: list[Sequence[object]] = [("", *heads("direct"), *heads("tenant"))]
    for what, key, text in (
        ("logs", "latency", "a followed line from its writing to its arrival, ms"),
        ("execs", "opened", "an exec from its start to its first byte, ms"),
        ("execs", "echo", "a byte to an exec and back, ms"),
    ):
        rows.append((text, *milliseconds(one[what]["direct"][key]), *milliseconds(one[what]["tenant"][key])))
    yield table(rows)
    bulk = {arm: stats.spread(values)._asdict() for arm, values in one["bulk"].items()}
    yield table(
        [
            ("", "direct", "tenant"),
            ("one exec's output, MiB/s", *(spread(bulk[arm], 0) for arm in ("direct", "tenant"))),
            (
                "CPU of the syncer while logs are followed, s",
                *(f"{one['logs'][arm]['cpu'].get('syncer', 0):.2f}" for arm in ("direct", "tenant")),
            ),
            *(
                (
                    f"memory of the syncer, most, with {what}, MiB",
                    *(mib(one[what][arm]["syncer_memory"]) for arm in ("direct", "tenant")),
                )
                for what in ("logs", "execs")
            ),
        ]
    )


def _profile(one: Results) -> Iterator[str]:
    yield (
        f"## Profile\n\nOf the syncer, by py-spy, {one['per_second']} samples a second, while one tenant "
        f"made and deleted {one['pods']} pods. Shares of the samples in which it worked; a call into C (TLS, "
        "JSON, a system call) counts for the Python function that made it, and so does waiting for a CPU.\n"
    )
    for part in PARTS:
        found = one[part]
        of = found["samples"] or 1
        samples = f"{found['samples']} samples at work, {found['waited']} of waiting threads"
        yield f"{part.capitalize()}: {samples}.\n"
        rows: list[Sequence[object]] = [("own time by function", "share")]
        rows += [(f"`{name}`", f"{count / of:.1%}") for name, count in found["own"]]
        yield table(rows)
        rows = [("own time by package", "share")]
        rows += [(name, f"{count / of:.1%}") for name, count in found["packages"] if count / of >= _SHOWN]
        yield table(rows)


SECTIONS: Mapping[str, Callable[[Results], Iterator[str]]] = {
    "create": _create,
    "latency": _latency,
    "throughput": _throughput,
    "fairness": _fairness,
    "memory": _memory,
    "restart": _restart,
    "streams": _streams,
    "profile": _profile,
}
