"""Kernels in C are compiled once, and whatever is in the way of that is a reason, not an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch  # whose OpenMP runtime is linked  # noqa: F401

from sglc.kernels.native import SWITCH, Unavailable, load

needs_compiler = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="no C compiler")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SWITCH, raising=False)
    path = tmp_path / "answer.c"
    path.write_text("#include <omp.h>\nint answer(void) { return 42 + 0 * omp_get_max_threads(); }\n")
    return path


@needs_compiler
def test_a_library_is_compiled_once_and_again_when_its_source_changes(source: Path, tmp_path: Path) -> None:
    assert load(source, ()).answer() == 42
    (library,) = (tmp_path / "cache/sglc/kernels").iterdir()
    written = library.stat().st_mtime_ns
    assert load(source, ()).answer() == 42
    assert library.stat().st_mtime_ns == written
    source.write_text("int answer(void) { return 43; }\n")
    assert load(source, ()).answer() == 43
    load(source, ("-g0",))
    assert len([*(tmp_path / "cache/sglc/kernels").iterdir()]) == 3


@needs_compiler
def test_what_the_compiler_says_is_the_reason(source: Path) -> None:
    source.write_text("int answer(void) { return forty_two; }\n")
    with pytest.raises(Unavailable, match=r"cc failed: .*answer\.c"):
        load(source, ())


def test_no_compiler(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(source.parent))
    with pytest.raises(Unavailable, match="no C compiler"):
        load(source, ())


def test_it_can_be_turned_off(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises(Unavailable, match="SGLC_NATIVE=0"):
        load(source, ())


@needs_compiler
def test_a_folder_that_others_may_write_to_is_not_used(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache/sglc/kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(Unavailable, match="others may write there"):
        load(source, ())


@needs_compiler
def test_a_folder_that_cannot_be_made(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="Not a directory"):
        load(source, ())


def test_processes_agree_on_one_runtime() -> None:
    """A second OpenMP runtime would bring threads of its own."""
    program = (
        "import torch\nfrom sglc.kernels.cpu_attention import missing\nmissing()\n"
        "names = {line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line or 'libiomp' in line}\n"
        "print(len(names))"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("no /proc/self/maps")
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert said.stdout == "1\n"
