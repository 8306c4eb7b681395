"""The command line itself: exit codes, streams, colours, completion."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sglc import cli
from sglc.errors import InputError, Location
from sglc.version import __version__


def run_sglc(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m sglc` in a process of its own."""
    command = [sys.executable, "-m", "sglc", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def finish(action: object, *, debug: bool = False) -> int:
    """Return the exit code that a command with this body ends with."""
    with pytest.raises(cli.typer.Exit) as caught:
        cli._finish(action, debug, 0)  # type: ignore[arg-type]
    return int(caught.value.exit_code)


def test_the_help_lists_every_command() -> None:
    said = run_sglc("--help")
    assert said.returncode == 0
    assert said.stderr == ""
    for command in ("run", "compile", "dump", "opt", "demo", "doctor"):
        assert f"\n  {command} " in said.stdout


def test_the_version() -> None:
    assert run_sglc("--version").stdout == f"sglc {__version__}\n"


@pytest.mark.parametrize("arguments", [("fly",), ("run",), ("run", "--nonsense"), ("run", "p.py", "--limit", "0")])
def test_wrong_usage_is_2_and_on_stderr(arguments: tuple[str, ...]) -> None:
    said = CliRunner().invoke(cli.app, list(arguments))
    assert said.exit_code == 2
    assert said.stdout == ""
    assert "Usage: " in said.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there(shell: str) -> None:
    script = run_sglc("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_SGLC_COMPLETE" in script.stdout
    words = run_sglc(_SGLC_COMPLETE="complete_bash", COMP_WORDS="sglc d", COMP_CWORD="1")
    assert words.stdout.split() == ["dump", "demo", "doctor"]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise InputError("found a pear; wanted an apple", Location("basket.py", 3))

    assert finish(fail) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "sglc: error: basket.py:3: found a pear; wanted an apple\n"


def test_a_bug_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise RuntimeError("a mishap")

    assert finish(fail) == 2
    message = "sglc: error: found RuntimeError: a mishap, which sglc did not expect; --debug shows where\n"
    assert capsys.readouterr().err == message
    assert finish(fail, debug=True) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    assert finish(interrupt) == 130
    assert capsys.readouterr().err == ""


def test_messages_go_to_stderr_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("sglc.backend")
    for verbose, expected in ((0, ["a"]), (1, ["a", "b"]), (2, ["a", "b", "c"])):
        cli._set_up_logging(verbose)
        logger.warning("a")
        logger.info("b")
        logger.debug("c")
        said = capsys.readouterr()
        assert said.err.split("\n")[:-1] == [f"sglc: {word}" for word in expected]
        assert said.out == ""
