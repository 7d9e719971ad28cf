"""What the pages say is there: links, commands and their options, keys of the spec, metrics, messages."""

import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import msgspec
import pages
import pytest
import yaml
from pages import PAGES, ROOT

import vcp.cli
from syncer.core.declaration import Declaration
from syncer.engine.metrics import Metrics
from vcp.options import Options
from vcp.spec import load

each_page = pytest.mark.parametrize("page", PAGES, ids=pages.name)
each_page_for_users = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CONTRIBUTING.md" and page.parent.name != "decisions"],
    ids=pages.name,
)

_OPERATORS = frozenset("();<>|&")
_BEFORE_A_COMMAND = {"$", "--", "do", "then", "time"}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    prose, _ = pages.split(page.read_text())
    wrong = []
    for link in pages.links(prose):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        there = target.exists() and target.is_relative_to(ROOT)
        if not there or (anchor and anchor not in pages.anchors(pages.split(target.read_text())[0])):
            wrong.append(link)
    assert wrong == []


@each_page
def test_commands_and_their_options_exist(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _only_parse(monkeypatch)
    prose, blocks = pages.split(page.read_text())
    wrong = []
    if page.name != "cli.md":  # which shows usage, not commands, and is made of them
        lines = (line for block in blocks for line in pages.commands(block))
        wrong += [
            f"{line}: {problem}"
            for line in lines
            for words in vcp_commands(line)
            if (problem := _problem(words))
        ]
    for span in pages.spans(prose):
        for words in vcp_commands(span):
            wrong += [f"`{span}`: {problem}" for problem in _unknown(words)]
    assert wrong == []


@each_page_for_users
def test_keys_of_the_spec_exist(page: Path) -> None:
    prose, blocks = pages.split(page.read_text())
    known = _keys()
    top = {key.partition(".")[0] for key in known}
    named = [span for span in pages.spans(prose) if re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)+", span)]
    assert [key for key in named if key.partition(".")[0] in top and key not in known] == []
    for block in blocks:
        for line in pages.commands(block):
            for words in vcp_commands(line):
                sets = [words[index + 1] for index, word in enumerate(words[:-1]) if word == "--set"]
                load({"name": "a"}, overrides=[(path, value) for path, _, value in _parted(sets)])
        if block.language == "yaml" and page.parent.name != "ci":  # whose YAML is that of CI systems
            for document in yaml.safe_load_all(block.text):
                if page.name == "adding-a-kind.md":
                    msgspec.convert(document, Declaration)
                elif "apiVersion" not in document:
                    load({"name": "a", **document})


@each_page
def test_metrics_exist(page: Path) -> None:
    known = set(re.findall(r"^# TYPE (\S+)", Metrics().text().decode(), re.MULTILINE))
    named = set(re.findall(r"vcp_syncer_\w*\w", page.read_text()))
    assert {re.sub(r"_(bucket|sum|count)$", "", metric) for metric in named} <= known


def test_messages_in_troubleshooting_are_those_of_the_code() -> None:
    """`…` stands for what differs, and a message may be put together at a colon or semicolon."""
    _, blocks = pages.split((ROOT / "docs" / "troubleshooting.md").read_text())
    quoted = [line for block in blocks if block.language == "text" for line in block.text.splitlines()]
    assert len(quoted) > 30
    parts = {part.strip() for line in quoted for part in re.split("…|: |; ", line) if len(part.strip()) > 3}
    sources = _sources()
    assert sorted(part for part in parts if part not in sources) == []


def test_a_wrong_page_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above could pass by looking at nothing."""
    _only_parse(monkeypatch)
    assert _problem(["create", "a", "--no-such-option"])
    assert _problem(["creat", "a"])
    assert _problem(["reaper", "instal"])
    assert not _problem(["reaper", "install", "-n", "b"])
    lines = {
        "$ hack/lab exec -- .venv/bin/vcp list -o json | jq .": [["list", "-o", "json"]],
        'for name in $(vcp list); do VCP_LAB=x vcp create "$name"; done': [["list"], ["create", "$name"]],
        "docker push vcp > vcp  # vcp": [],
    }
    assert {line: list(vcp_commands(line)) for line in lines} == lines
    assert pages.anchors("# A `b`, c\n## A b c") == {"a-b-c", "a-b-c-1"}
    assert list(pages.links("[a](b.md#c) `[x](y)` [![i](k)](l)")) == ["b.md#c", "l"]


def vcp_commands(line: str) -> Iterator[list[str]]:
    """The arguments of each `vcp` that a shell line calls."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # output or text with an apostrophe
        return
    for index, word in enumerate(words):
        if word.rpartition("/")[2] == "vcp" and _is_before_a_command(words[index - 1] if index else ";"):
            yield list(itertools.takewhile(lambda one: not _OPERATORS.issuperset(one), words[index + 1 :]))


def _is_before_a_command(word: str) -> bool:
    return word in _BEFORE_A_COMMAND or "=" in word or (_OPERATORS.issuperset(word) and word[-1] in "(;|&")


def _only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, commands find their options and arguments and do nothing with them."""
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)


def _problem(words: list[str]) -> str:
    """What the command line says against these words; empty if it would carry them out."""
    try:
        vcp.cli.cli.main(list(words), prog_name="vcp", standalone_mode=False, obj=Options())
    except click.ClickException as error:
        return error.format_message()
    return ""


def _unknown(words: list[str]) -> list[str]:
    """Commands and options of a sentence that do not exist; arguments may be left out there."""
    command: click.Command = vcp.cli.cli
    context = click.Context(command, info_name="vcp")
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        if words[0] == "COMMAND":
            return []
        found = command.get_command(context, words[0])
        if found is None:
            return [f"no command {words[0]!r}"]
        command, words = found, words[1:]
    ours = words[: words.index("--")] if "--" in words else words
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    return [f"no option {word!r}" for word in ours if word.startswith("-") and word not in known | {"--help"}]


def _keys() -> set[str]:
    """Every path of a spec, of its parts as well as of its leafs, as the reference lists them."""
    table = (ROOT / "docs" / "spec.md").read_text()
    return set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))


def _parted(sets: list[str]) -> Iterator[tuple[str, str, str]]:
    return (text.partition("=") for text in sets)


@cache
def _sources() -> str:
    files = [file for folder in ("vcp", "syncer", "manifests") for file in (ROOT / folder).rglob("*.*")]
    return "\n".join(file.read_text() for file in sorted(files) if file.suffix in {".py", ".yaml"})
