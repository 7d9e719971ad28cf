"""The report's pictures, where matplotlib is installed; without it the report has none."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchkit import model, stacks
from benchkit.bench import say
from benchkit.tables import FOREIGN, cpu

Results = Mapping[str, Any]
_ARMS = {"direct": "#4878a8", "tenant": "#d1743c"}
_MIB = 1 << 20
_NAMED = 0.03  # of the width, that a box of the flame graph needs to have its name written


def draw(folder: Path, results: Results) -> list[str]:
    """Writes the pictures and returns the names of all that were written."""
    try:
        import matplotlib  # noqa: PLC0415
    except ImportError:
        say("  no plots: matplotlib is not installed (requirements/bench.lock)")
        return []
    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    written = []
    for name, (measurement, paint) in _PICTURES.items():
        if measurement not in results:
            continue
        figure, axes = pyplot.subplots(figsize=(7.5, 3.6), layout="constrained")
        axes.grid(alpha=0.0 if name == "profile" else 0.3)
        paint(axes, results[measurement])
        axes.spines[["top", "right"]].set_visible(False)
        # No date in the file: the same numbers make the same picture.
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
        pyplot.close(figure)
        written.append(f"{name}.png")
    return written


def _latency(axes: Any, one: Results) -> None:
    for arm, colour in _ARMS.items():
        values = sorted(one["values"][arm])
        shares = [(index + 1) / len(values) for index in range(len(values))]
        axes.step([value * 1000 for value in values], shares, color=colour, label=arm)
    axes.set(xlabel="create to Running, ms", ylabel="share of pods", xlim=(0, None), title="One at a time")
    axes.legend()


def _curves(axes: Any, one: Results) -> None:
    cell = max(one["cells"], key=lambda cell: (cell["pods"], -cell["tenants"]))
    for arm, colour in _ARMS.items():
        for number, run in enumerate(cell["runs"][arm]):
            times, counts = zip(*run["creates"]["curve"], strict=True)
            axes.plot(times, counts, color=colour, label=None if number else arm)
    title = f"{cell['pods']} pods, {cell['tenants']} tenants"
    axes.set(xlabel="seconds", ylabel="pods Ready", xlim=(0, None), ylim=(0, None), title=title)
    axes.legend()


def _cpu(axes: Any, one: Results) -> None:
    import matplotlib  # noqa: PLC0415

    bars = [
        (f"{cell['pods']} x {cell['tenants']}\n{arm}", cpu(cell["runs"][arm], "creates"))
        for cell in one["cells"]
        for arm in _ARMS
    ]
    names = sorted(set().union(*(parts for _, parts in bars)) - set(FOREIGN))
    names = [name for name in names if max(parts.get(name, 0.0) for _, parts in bars) >= 0.5]
    labels, bottoms = [label for label, _ in bars], [0.0] * len(bars)
    palette = matplotlib.colormaps["tab20"]
    for number, name in enumerate(names):
        heights = [parts.get(name, 0.0) for _, parts in bars]
        axes.bar(labels, heights, bottom=bottoms, label=name, width=0.6, color=palette(number))
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set(ylabel="CPU seconds per 1,000 creates", xlabel="pods x tenants")
    axes.tick_params(axis="x", labelsize=10 if len(bars) < 7 else 6)
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def _fairness(axes: Any, one: Results) -> None:
    rows = ("small alone", "small beside greedy", "greedy")
    for shift, (arm, colour) in zip((-0.2, 0.2), _ARMS.items(), strict=True):
        heights = [one[arm][row].get("p99", 0.0) for row in rows]
        axes.bar([place + shift for place in range(len(rows))], heights, width=0.36, color=colour, label=arm)
    axes.set_xticks(range(len(rows)), rows)
    axes.set(ylabel="create to Ready, p99, s", title="A greedy tenant beside small ones")
    axes.legend()


def _memory(axes: Any, one: Results) -> None:
    points = one["points"]
    for name in sorted(points[0]["memory"]):
        if model.of_tenants(name) or name in {"host apiserver", "host etcd"}:
            sizes = [point["memory"].get(name, 0) / _MIB for point in points]
            axes.plot([point["pods"] for point in points], sizes, marker="o", label=name)
    axes.set(xlabel="pods in one tenant", ylabel="resident, MiB", xlim=(0, None), ylim=(0, None))
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def _flames(axes: Any, one: Results) -> None:
    """Creates only; the outermost frame at the bottom, widths by samples, one colour per package."""
    import matplotlib  # noqa: PLC0415

    found = one["creates"]
    samples = found["samples"] or 1
    axes.figure.set_size_inches(14, 1 + 0.2 * stacks.depth(found["tree"]))
    palette = matplotlib.colormaps["Pastel1"]
    colours = {name: palette(number % palette.N) for number, (name, _) in enumerate(found["packages"])}
    for frame, level, left, width in stacks.flattened(found["tree"]):
        name = stacks.package(frame)
        axes.barh(level, width, 0.95, left, color=colours.get(name, "0.85"), edgecolor="white", linewidth=0.3)
        if width >= samples * _NAMED:
            shown = frame.split(" (")[0][-round(width / samples * 260) :]
            axes.text(left + width / 2, level, shown, fontsize=5, ha="center", va="center", clip_on=True)
    for name, colour in list(colours.items())[: palette.N]:
        axes.barh(0, 0, color=colour, label=name)
    axes.set(yticks=[], xlabel="samples", xlim=(0, samples), title="The syncer while pods are made")
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


_PICTURES: Mapping[str, tuple[str, Callable[[Any, Results], None]]] = {
    "latency": ("latency", _latency),
    "throughput-curve": ("throughput", _curves),
    "throughput-cpu": ("throughput", _cpu),
    "fairness": ("fairness", _fairness),
    "memory": ("memory", _memory),
    "profile": ("profile", _flames),
}
