"""From what the user named to a model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sglc.backend.step import Model
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.errors import InputError

DEFAULT_KV_TOKENS = 65_536
DEVICES = ("cpu", "cuda")


def load(
    spec: str | Model,
    *,
    tokenizer: Tokenizer | str | Path | None,
    device: str,
    dtype: str,
    kv_tokens: int | None,
    chat_template: str | None,
    plant: Sequence[str],
    trust_remote_code: bool,
) -> tuple[Model, Tokenizer, int]:
    """Return the model behind `spec` with its KV allocated, its tokenizer, and how many tokens the KV holds."""
    if not isinstance(spec, str):
        return spec, _tokenizer(tokenizer, None, chat_template), _allocate(spec, kv_tokens)
    if spec.startswith("replay:"):
        if device not in DEVICES:
            raise InputError(f"found device {device!r}; wanted one of {', '.join(DEVICES)}")
        source = _check_replayed(spec)
        own = _tokenizer(tokenizer, None, chat_template)
        replayed = _replay_model(source, own, plant)
        return replayed, own, _allocate(replayed, kv_tokens)
    from sglc.backend.checkpoint import resolve_model
    from sglc.backend.model import load_model

    folder = resolve_model(spec)
    own = _tokenizer(tokenizer, folder, chat_template)

    def work() -> tuple[Model, Tokenizer, int]:
        model = load_model(folder, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        return model, own, _allocate(model, kv_tokens)

    # OpenMP keeps a team of workers for each thread that computed something, and where these outnumber the cores,
    # all of them sleep between any two operations: decoding took 1.3 times as long. So the caller's thread has none.
    with ThreadPoolExecutor(1, thread_name_prefix="sglc-load") as loader:
        return loader.submit(work).result()


def load_tokenizer(spec: str, tokenizer: str | None, chat_template: str | None) -> tuple[Tokenizer, int | None]:
    """Return the tokenizer of the model behind `spec`, and the model's greatest length if that is written down.

    No weights are read.
    """
    if spec.startswith("replay:"):
        _check_replayed(spec)
        return _tokenizer(tokenizer, None, chat_template), None
    from sglc.backend.checkpoint import read_config, resolve_model

    folder = resolve_model(spec)
    config = read_config(folder)
    longest = (config.get("text_config") or config).get("max_position_embeddings")
    return _tokenizer(tokenizer, folder, chat_template), longest if isinstance(longest, int) else None


def _replay_model(source: str, tokenizer: Tokenizer, plant: Sequence[str]) -> Model:
    from sglc.backend.replay import HashModel, TraceModel

    return HashModel(tokenizer, plant=plant) if source == "hash" else TraceModel(tokenizer, source)


def _check_replayed(spec: str) -> str:
    """Return what is to be replayed. Raises InputError for a recording that is not there."""
    source = spec.removeprefix("replay:")
    if source != "hash" and not Path(source).is_file():
        raise InputError(f"found no file {source!r} to replay; wanted replay:TRACE.jsonl or replay:hash")
    return source


def _allocate(model: Model, kv_tokens: int | None) -> int:
    """Make room for KV, one slot more than is used (`SCRATCH_SLOT`); return the tokens it holds."""
    kv_tokens = kv_tokens or default_kv_tokens(model)
    model.allocate(kv_tokens + 1)
    return kv_tokens


def _tokenizer(given: Tokenizer | str | Path | None, folder: Path | None, chat_template: str | None) -> Tokenizer:
    if isinstance(given, Tokenizer):
        return given
    return Tokenizer.load(given or folder or PACKAGED, chat_template)


def default_kv_tokens(model: Model) -> int:
    """Return 65,536 tokens, or fewer where a third of the free memory holds fewer: copies may take another third."""
    per_token = getattr(model, "kv_bytes_per_token", 0)
    free = _free_bytes()
    return min(DEFAULT_KV_TOKENS, max(1024, free // 3 // per_token)) if per_token and free else DEFAULT_KV_TOKENS


def _free_bytes() -> int | None:
    """Return the free memory of this machine, or None where it can't be asked."""
    try:
        import os

        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
