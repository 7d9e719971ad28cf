"""What a sampler has seen: stacks with how often each was met, and sums over them. Pure.

One line per stack, as `py-spy record --format raw --function` writes them: frames from the outermost on, with
semicolons between them, a blank, and a count.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Where a thread waits for work: an event loop in its selector, and a worker thread at its queue.
_WAITING = ("EpollSelector.select (selectors.py", "_worker (concurrent/futures/thread.py")
_FRAME = re.compile(r"(.*) \((.*?)(?::\d+)?\)")
_OURS = "syncer"

Stacks = Mapping[tuple[str, ...], int]


def parse(text: str) -> tuple[dict[tuple[str, ...], int], int]:
    """The stacks of threads at work, frames as `function (file)`, and the samples of threads that waited."""
    found: Counter[tuple[str, ...]] = Counter()
    waited = 0
    for line in filter(None, text.splitlines()):
        frames, _, count = line.rpartition(" ")
        names = frames.split(";")
        if names[-1].startswith(_WAITING):
            waited += int(count)
        else:
            found[tuple(map(_unnumbered, names))] += int(count)
    return dict(found), waited


def own(stacks: Stacks, most: int) -> list[tuple[str, int]]:
    """Samples in which a function was the innermost one; the largest first."""
    found: Counter[str] = Counter()
    for frames, count in stacks.items():
        found[frames[-1]] += count
    return found.most_common(most)


def packages(stacks: Stacks) -> list[tuple[str, int]]:
    """Samples by the package of the innermost function; the syncer's own by its sub-packages."""
    found: Counter[str] = Counter()
    for frames, count in stacks.items():
        found[package(frames[-1])] += count
    return found.most_common()


def package(frame: str) -> str:
    match = _FRAME.fullmatch(frame)
    file = match[2] if match else frame
    first, *rest = file.split("/")
    if first == _OURS and len(rest) > 1:
        return f"{first}.{rest[0]}"
    if rest:
        return first
    return f"{first.removesuffix('.py')} (standard library)" if first.endswith(".py") else first


def tree(stacks: Stacks, least: int) -> dict[str, Any]:
    """Frames below frames as {frame: [samples, below]}; who has fewer samples than `least` is left out."""
    below: dict[str, dict[tuple[str, ...], int]] = {}
    for frames, count in stacks.items():
        if frames:
            inner = below.setdefault(frames[0], {})
            inner[frames[1:]] = inner.get(frames[1:], 0) + count
    sizes = {name: sum(inner.values()) for name, inner in below.items()}
    return {
        name: [sizes[name], tree(inner, least)]
        for name, inner in sorted(below.items(), key=lambda item: -sizes[item[0]])
        if sizes[name] >= least
    }


def depth(branches: Mapping[str, Any]) -> int:
    return 1 + max(depth(inner) for _, inner in branches.values()) if branches else 0


def flattened(
    branches: Mapping[str, Any], left: int = 0, level: int = 0
) -> Iterable[tuple[str, int, int, int]]:
    """(frame, level, left, width) of each box of a flame graph."""
    for name, (width, inner) in branches.items():
        yield name, level, left, width
        yield from flattened(inner, left, level + 1)
        left += width


def _unnumbered(frame: str) -> str:
    match = _FRAME.fullmatch(frame)
    return f"{match[1]} ({match[2]})" if match else frame
