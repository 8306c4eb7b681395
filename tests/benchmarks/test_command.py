"""The command prints what the bars are read from: one object, flat figures, where they were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import registry
from benchmarks.registry import BENCHMARKS, Options, Result

MEASURED_ON = {"date", "commit", "cpu", "cores", "load_average", "python", "torch", "transformers", "quick", "data"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """Replace every benchmark by one that costs nothing; return the options that it is given."""
    given: list[Options] = []

    def run(options: Options) -> Result:
        given.append(options)
        return Result({"share": 0.25, "rows": 10_000}, {"data": "synthetic"})

    monkeypatch.setattr(command, "find", lambda name: run)
    return given


def test_without_a_name_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BENCHMARKS)


def test_json_is_one_object_with_flat_figures(fake: list[Options], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["overhead", "--json", "--quick", "--runs", "7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["benchmark", "figures", "environment"]
    assert found["benchmark"] == "overhead"
    assert found["figures"] == {"share": 0.25, "rows": 10_000}
    assert set(found["environment"]) >= MEASURED_ON
    assert found["environment"]["data"] == "synthetic"
    assert fake == [Options(quick=True, runs=7)]


def test_for_people_it_is_a_table(fake: list[Options], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["overhead"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [["overhead"], ["share", "0.250"], ["rows", "10,000"]]
    assert fake == [Options()]


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(["none"])
    assert refused.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_every_name_is_a_module_that_the_readme_explains(repository: Path) -> None:
    readme = (repository / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name in BENCHMARKS:
        assert callable(registry.find(name))
        assert f"`{name}`" in readme
