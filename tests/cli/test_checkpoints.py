"""`sglc run` on a checkpoint folder, and on folders that are not what they should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sglc.backend.tokenizer import PACKAGED
from tests.checkpoints import save_checkpoint
from tests.cli.conftest import CommandLine, read_results


@pytest.fixture
def checkpoint(folder: Path) -> Path:
    """A tiny Llama with the packaged tokenizer, 64 positions long."""
    path = save_checkpoint("llama", folder / "llama", dtype="float32", vocab_size=2048, max_position_embeddings=64)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(PACKAGED / file, path)
    return path


def test_rows_run_on_a_checkpoint(checkpoint: Path, sglc_run: CommandLine) -> None:
    done = sglc_run("--model", str(checkpoint), "--temperature", "0")
    assert done.exit_code == 0, done.stderr
    results = {line["index"]: line for line in read_results(Path("out.jsonl"))}
    assert sorted(results) == [0, 1, 2, 3]
    assert results[0]["text"] == "one:" + results[0]["variables"]["reply"]


def test_a_prompt_longer_than_the_model_says_both_numbers(checkpoint: Path, sglc_run: CommandLine) -> None:
    Path("rows.jsonl").write_text('{"word": "one"}\n{"word": "' + "long " * 200 + '"}\n', encoding="utf-8")
    done = sglc_run("--model", str(checkpoint))
    assert done.exit_code == 1, done.stderr
    assert sorted(line["index"] for line in read_results(Path("out.jsonl"))) == [0, 1]
    assert "found a prompt of 203 tokens" in done.stderr
    assert "wanted at most 64" in done.stderr


def test_a_folder_without_a_tokenizer(checkpoint: Path, sglc_run: CommandLine) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (checkpoint / file).unlink()
    done = sglc_run("--model", str(checkpoint))
    assert done.exit_code == 2
    assert f"found no tokenizer in {checkpoint}" in done.stderr


def test_truncated_weights(checkpoint: Path, sglc_run: CommandLine) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = sglc_run("--model", str(checkpoint))
    assert done.exit_code == 2
    assert f"sglc: error: {weights}: found " in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("out.jsonl").exists()
