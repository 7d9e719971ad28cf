"""The command line as a user meets it."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

import vcp.cli
from vcp import __version__
from vcp.errors import RefusedError


def test_version_is_the_only_word_on_stdout() -> None:
    result = CliRunner().invoke(vcp.cli.cli, ["version"])
    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


def test_help_names_every_command_without_importing_one() -> None:
    code = "import sys, vcp.cli; vcp.cli.cli(['--help'], standalone_mode=False); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    for name, text in vcp.cli.COMMANDS.items():
        assert name in result.stdout
        assert text in result.stdout
        assert f"vcp.commands.{name}" not in result.stdout.split()
    assert not {"kubernetes_asyncio", "aiohttp", "rich"} & set(result.stdout.split())


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(vcp.cli.cli, ["creat"]).exit_code == 2


def test_an_error_is_a_message_a_hint_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RefusedError("tenant-a is protected", hint="pass --unprotect")

    monkeypatch.setattr(vcp.cli.cli, "main", refuse)
    with pytest.raises(SystemExit) as exit_:
        vcp.cli.main()
    assert exit_.value.code == RefusedError.exit_code
    assert capsys.readouterr().err == "vcp: tenant-a is protected\n     pass --unprotect\n"
