"""The recipes below docs/ci are YAML of the right shape, and use commands and options that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import vcp.cli

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
PAGES = sorted(FOLDER.glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def documents(name: str) -> list[Any]:
    return [yaml.safe_load(text) for text in blocks(FOLDER / name, "yaml")]


def commands(text: str) -> Iterator[list[str]]:
    """What is run of vcp and pytest, without what comes after a pipe or a comment."""
    for line in text.splitlines():
        words = line.strip().removeprefix("- ").removeprefix("exec ")
        if words.startswith(("vcp ", "pytest ")):
            yield shlex.split(words.partition(" | ")[0], comments=True)


def test_all_pages_are_there_and_linked() -> None:
    assert {page.name for page in PAGES} == {"README.md", "github-actions.md", "gitlab-ci.md", "tekton.md"}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (FOLDER / target).exists(), f"{page.name}: {target}"
    assert "## Once per host, by an administrator" in (FOLDER / "README.md").read_text()


def test_github_actions() -> None:
    (workflow,) = documents("github-actions.md")
    steps = workflow["jobs"]["e2e"]["steps"]
    assert all({"uses", "run"} & step.keys() for step in steps)
    assert workflow[True] == ["push"]  # YAML 1.1 reads `on` so; GitHub does not


def test_gitlab_ci() -> None:
    (pipeline,) = documents("gitlab-ci.md")
    (job,) = pipeline.values()
    assert all(isinstance(line, str) for line in (*job["before_script"], *job["script"]))
    assert job["artifacts"]["paths"] == ["artifacts"]


def test_tekton() -> None:
    task, run = documents("tekton.md")
    assert (task["kind"], run["kind"]) == ("Task", "TaskRun")
    assert run["spec"]["taskRef"]["name"] == task["metadata"]["name"]
    assert {one["name"] for one in task["spec"]["workspaces"]} == {
        one["name"] for one in run["spec"]["workspaces"]
    }
    assert run["spec"]["serviceAccountName"] == "vcp-ci"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_exist(page: Path) -> None:
    found = [
        words for language in ("yaml", "sh") for text in blocks(page, language) for words in commands(text)
    ]
    assert [words for words in found if words[:2] == ["vcp", "run"]]
    for tool, *words in found:
        if tool == "vcp":
            parse(vcp.cli.cli, words)


def parse(group: click.Group, words: list[str]) -> None:
    """Raises a click error for what the command does not know; runs nothing."""
    name, *rest = words
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command, name
    if isinstance(command, click.Group):
        parse(command, rest)
    else:
        command.make_context(name, rest, parent=context)
