"""Defaults: where they are read from, how they are layered, and how a mistake in them is told."""

from pathlib import Path

import pytest

from vcp import config
from vcp.errors import UsageError


def environ(folder: Path, text: str) -> dict[str, str]:
    (folder / "config.yaml").write_text(text)
    return {"VCP_CONFIG": str(folder / "config.yaml")}


def test_a_config_file_gives_defaults(tmp_path: Path) -> None:
    found = config.load(environ(tmp_path, "context: staging\nspec: {distro: k8s}"))
    assert found == config.Config(context="staging", spec={"distro": "k8s"})


def test_no_file_is_no_default_but_a_named_one_must_exist(tmp_path: Path) -> None:
    assert config.load({"XDG_CONFIG_HOME": str(tmp_path)}) == config.Config()
    with pytest.raises(UsageError, match="does not exist"):
        config.load({"VCP_CONFIG": str(tmp_path / "none")})


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config.yaml: unknown key 'contxt'") as caught:
        config.load(environ(tmp_path, "contxt: a"))
    assert caught.value.hint == "did you mean 'context'?"
    assert config.nearest("zzz", ["a", "b"]) == "known are a, b"


@pytest.mark.parametrize("text", ["[a]", "context: [a]", "a: ]"])
def test_a_file_that_is_no_config_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"config.yaml"):
        config.load(environ(tmp_path, text))


def test_later_layers_win_key_by_key() -> None:
    defaults = {"distro": "k3s", "storage": {"size": "1Gi", "class": "fast"}, "sans": ["a"]}
    flags = {"storage": {"size": "5Gi"}, "sans": ["b"]}
    assert config.layered({}, defaults, flags) == {
        "distro": "k3s",
        "storage": {"size": "5Gi", "class": "fast"},
        "sans": ["b"],
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("0.5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert config.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "m5", "1.2.3s", "-5s", "1m1m", "1s1h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a duration"):
        config.seconds(text)
