"""What is shipped: one version, pins that resolve anywhere, and a wheel that works where the checkout is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from sglc.version import __version__

PROGRAM = """\
import sglc


@sglc.function
def echo(s, word):
    s += word + ":" + sglc.gen("reply", max_tokens=4)
"""


def test_the_version_has_one_source(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "sglc/version.py"
    assert f"## [{__version__}]" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    said = subprocess.run([sys.executable, "-m", "sglc", "--version"], check=True, capture_output=True, text=True)
    assert said.stdout == f"sglc {__version__}\n"


def test_the_package_says_its_version() -> None:
    import sglc

    assert sglc.__version__ == __version__


def test_pins_are_exact_and_public(repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+", pin), f"{pin}: wanted NAME==VERSION, no local version"
    assert len({pin.partition("==")[0].lower() for pin in pins}) == len(pins)


def test_every_dependency_is_pinned(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    pinned = (repository / "constraints.txt").read_text(encoding="utf-8").lower()
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name
        assert f"\n{name.group().lower()}==" in pinned


def test_the_wheel_works_elsewhere(repository: Path, tmp_path: Path) -> None:
    def python(*arguments: str | Path, **environment: str) -> str:
        command = [sys.executable, *map(str, arguments)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SGLC_")}
        done = subprocess.run(command, cwd=tmp_path, env=clean | environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, repository)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "sglc/py.typed" in names
    assert any(name.startswith("sglc/data/tokenizer/") for name in names)
    assert not any(name.startswith(("tests/", "programs/", "benchmarks/")) for name in names)

    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", wheel)
    there = {"PYTHONPATH": str(tmp_path / "site")}
    found = python("-c", "import sglc; print(sglc.__file__)", **there).strip()
    assert Path(found).is_relative_to(tmp_path)
    assert python("-m", "sglc", "--version", **there) == f"sglc {__version__}\n"

    (tmp_path / "echo.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"word": "a"}\n{"word": "b"}\n', encoding="utf-8")
    run = ("-m", "sglc", "run", "echo.py", "--rows", "rows.jsonl", "--out", "-", "--model", "replay:hash")
    assert python(*run, **there).count("\n") == 2
    assert "random" in python("-m", "sglc", "demo", **there)
