"""What every test shares: which tests run here, and a word about those that do not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from sglc import passes
from sglc.ir import verifier
from sglc.ir.graph import Graph
from sglc.ir.parser import parse_all
from sglc.ir.printer import print_graph
from sglc.ir.rewriter import FIRINGS, Rule

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' tensors are so small that a second thread costs time

FULL = os.environ.get("SGLC_TEST_FULL") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `--update` write down what golden cases come to."""
    parser.addoption("--update", action="store_true", help="write what passes make of tests/passes/*.sglir into them")


FIRED: Counter[str] = Counter()
"""How often each rule has fired in the processes that ran tests, by its name."""


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process counted that ran a part of the tests."""
    FIRED.update(node.workeroutput.get("firings", {}))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Hand over what this process counted; where the whole suite has passed, fail it if a rule never fired."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["firings"] = dict(FIRINGS)
        return
    FIRED.update(FIRINGS)
    options = session.config.option
    whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (
        options.keyword or options.markexpr or options.collectonly
    )
    silent = sorted(rules() - FIRED.keys())
    if whole and exitstatus == pytest.ExitCode.OK and silent:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"rules that never fired: {', '.join(silent)}", red=True)


def rules() -> set[str]:
    """Return the names of the rules of all passes."""
    modules = [import_module(each.name) for each in iter_modules(passes.__path__, f"{passes.__name__}.")]
    return {thing.name for module in modules for thing in vars(module).values() if isinstance(thing, Rule)}


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what does not run here: the long tests unless SGLC_TEST_FULL=1, GPU tests without a GPU."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not _has_gpu():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
    if not FULL:
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="long; SGLC_TEST_FULL=1 runs it"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of a GPU, of time, of data."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    for word, what in (("CUDA", "GPU"), ("SGLC_TEST_FULL", "long"), ("SGLC_TEST_DATA", "external-data")):
        terminalreporter.write_line(f"{what} tests skipped: {sum(word in reason for reason in reasons)}")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of external test data; the test is skipped without one."""
    folder = os.environ.get("SGLC_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SGLC_TEST_DATA names no folder")
    return Path(folder)


class RoundTrips:
    """Sees to it that every graph that is found legal survives its text, with its locations; each text once.

    It need not be verified again: a graph of the same text is the same.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._seen: set[int] = set()

    def __call__(self, graph: Graph) -> None:
        """Check one graph. Raises AssertionError, which a program's tracer may swallow: `failures` keeps it."""
        text = print_graph(graph, locations=True)
        if hash(text) in self._seen:
            return
        self._seen.add(hash(text))
        try:
            (again,) = parse_all(text, verified=False)
            assert print_graph(again, locations=True) == text
        except Exception as error:
            self.failures.append(f"{error!r}\n{text}")
            raise AssertionError(self.failures[-1]) from error


@pytest.fixture(scope="session", autouse=True)
def round_trips() -> Iterator[RoundTrips]:
    """Send every graph that any test builds through its text and back."""
    observer = RoundTrips()
    verifier.OBSERVERS.append(observer)
    yield observer
    verifier.OBSERVERS.remove(observer)
    assert not observer.failures, observer.failures[0]


@pytest.fixture
def no_round_trips(round_trips: RoundTrips) -> Iterator[None]:
    """Leave graphs alone for once: for tests that measure time."""
    verifier.OBSERVERS.remove(round_trips)
    yield
    verifier.OBSERVERS.append(round_trips)
