"""The project's Markdown pages, as far as tests look at them: headings, links, code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, empty if none is named, its first line in the page, and its text."""

    language: str
    line: int
    text: str


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def split(text: str) -> tuple[str, list[Block]]:
    """The prose of a page, with an empty line for each line of code, and its blocks."""
    prose: list[str] = []
    blocks: list[Block] = []
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1] == fence and not mark[2]:
                fence = ""
            else:
                blocks[-1] = blocks[-1]._replace(text=f"{blocks[-1].text}{line}\n")
        elif mark:
            fence = mark[1]
            blocks.append(Block(mark[2], number + 1, ""))
        prose.append("" if fence or mark else line)
    return "\n".join(prose), blocks


def spans(prose: str) -> Iterator[str]:
    """What stands in backquotes."""
    for found in _SPAN.finditer(prose):
        yield " ".join(found[2].split())


def links(prose: str) -> Iterator[str]:
    for found in _LINK.finditer(_SPAN.sub("`", prose)):
        yield found[1]


def anchors(prose: str) -> set[str]:
    """GitHub's anchors of headings: lower case, no punctuation, and a number if there are several."""
    found: set[str] = set()
    for line in prose.splitlines():
        if heading := _HEADING.match(line):
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            number = 0
            while (anchor := f"{slug}-{number}" if number else slug) in found:
                number += 1
            found.add(anchor)
    return found


def commands(block: Block) -> Iterator[str]:
    """The lines of a block, those that end in a backslash joined with the next."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip():
            yield line.strip()
