"""Hugging Face causal language models over the paged KV: transformers loads and runs them, on our attention."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils import logging as transformers_logging

from sglc.backend.attention_interface import NAME, Pass
from sglc.backend.checkpoint import check_weights, fingerprint, read_config, resolve_model
from sglc.backend.decoder import Decoder, is_decoder
from sglc.backend.kv_store import KvStore
from sglc.backend.logit_blocks import LogitBlocks, rows_at_once
from sglc.backend.model_probe import probe, probe_decoder, random_rows, reference_logits
from sglc.backend.rope_check import steady_length
from sglc.backend.sampler import DenseLogits
from sglc.backend.step import Logits, Step
from sglc.backend.transformers_network import TransformersNetwork
from sglc.errors import InputError, Unsupported

__all__ = ["DTYPES", "TransformersModel", "load_model", "resolve_model"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}

_log = logging.getLogger(__name__)


def load_model(
    path: Path | str,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    threads: int | None = None,
) -> TransformersModel:
    """Load a model folder. `dtype` is a name in DTYPES, or "auto" for the checkpoint's own.

    `threads` sets PyTorch's number of threads for the process. Raises InputError for a folder that can't be
    loaded, Unsupported for a model that can't run on our attention.
    """
    folder = Path(path)
    _check_options(device, dtype)
    _check_type(folder, read_config(folder), trust_remote_code)
    check_weights(folder)
    if threads is not None:
        torch.set_num_threads(threads)
    model = _from_pretrained(folder, device, dtype, trust_remote_code)
    name = fingerprint(folder, str(model.dtype))
    try:
        return TransformersModel(model, torch.device(device), name)
    except LayersDiffer as error:
        _log.warning("%s: %s; these are run instead", folder, error)
    model = _from_pretrained(folder, device, dtype, trust_remote_code)
    return TransformersModel(model, torch.device(device), name, own_layers=False)


class Network(Protocol):
    """What computes a step."""

    def logits(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the logits [R, vocab] of a step."""

    def hidden(self, step: Step, running: Pass) -> torch.Tensor:
        """Return the hidden states [R, hidden] under the head."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits [n, vocab] of hidden states [n, hidden]."""


class TransformersModel:
    """Implements `Model`. Forward passes are for one thread at a time."""

    def __init__(self, model: Any, device: torch.device, fingerprint: str, *, own_layers: bool = True) -> None:
        """Take a causal language model that was loaded with our attention.

        With `own_layers` it is run by layers of ours if there are any for its family. Raises Unsupported, and
        LayersDiffer where ours compute something else, after which the model can't be used.
        """
        self._fingerprint = fingerprint
        self._store = KvStore(device)
        self._vocab_size = int(model.get_output_embeddings().weight.shape[0])
        self._at_once = rows_at_once(self._vocab_size, model.dtype)
        self._eos_ids = _eos_ids(model)
        self.own_layers = own_layers and is_decoder(model)
        if self.own_layers:
            self._max_length = _max_length(model)
            self._network = self._decoder(model)
        else:
            self._network = self._transformers(model, device)
            self._max_length = _max_length(model)  # what is wrong with its attention is said first
        self._store.allocate(0)

    @property
    def vocab_size(self) -> int:
        """Number of logits per position."""
        return self._vocab_size

    @property
    def max_length(self) -> int:
        """Most positions one sequence may have."""
        return self._max_length

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a generation, from the generation config, else from the model's."""
        return self._eos_ids

    @property
    def fingerprint(self) -> str:
        """A short text that is equal for equal weights and settings."""
        return self._fingerprint

    @property
    def kv_bytes_per_token(self) -> int:
        """Memory that the KV of one position takes, over all layers."""
        return self._store.bytes_per_position

    @property
    def kv(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys [kv_heads, slots, D] and values [kv_heads, slots, E] of each layer."""
        return self._store.tensors

    def allocate(self, slots: int) -> None:
        """Make room for the KV of `slots` positions, number 0 being `SCRATCH_SLOT`. Forgets what was there."""
        self._store.allocate(slots)

    @torch.inference_mode()
    def forward(self, step: Step) -> Logits:
        """Compute one step: write the new KV, return logits for `step.logit_rows`, at most 64 MiB of them at once."""
        try:
            running = Pass(step, self._store)
            if len(step.logit_rows) <= self._at_once:
                return DenseLogits(self._network.logits(step, running))
            return LogitBlocks(self._network.hidden(step, running), self._head, self._at_once)
        except BaseException:
            self._store.forget_copies()
            raise

    @torch.inference_mode()
    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._network.head(hidden)

    @torch.inference_mode()
    def _transformers(self, model: Any, device: torch.device) -> Network:
        return TransformersNetwork(model, probe(model, self._store), device)

    @torch.inference_mode()
    def _decoder(self, model: Any) -> Network:
        rows = random_rows(model)
        wanted = reference_logits(model, rows, "sdpa")
        decoder = Decoder(model, self._max_length)
        if not probe_decoder(decoder, self._store, rows, wanted):
            raise LayersDiffer(f"{type(model).__name__}: found logits that differ from those of transformers' layers")
        return decoder


class LayersDiffer(Unsupported):
    """Our layers don't compute what transformers' do."""


def _check_options(device: str, dtype: str) -> None:
    if dtype != "auto" and dtype not in DTYPES:
        raise InputError(f"dtype: found {dtype!r}; wanted auto, {', '.join(DTYPES)}")
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InputError(f"device: found {device!r}; wanted cpu or cuda") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: found {device!r}, but no CUDA device that PyTorch can use; wanted cpu")


def _check_type(folder: Path, config: dict[str, Any], trust_remote_code: bool) -> None:
    """Refuse by its configuration a model that no loading would make usable."""
    model_type = config["model_type"]
    if config.get("is_encoder_decoder"):
        raise Unsupported(f"{folder}: found an encoder-decoder model ({model_type}); wanted a causal language model")
    if "auto_map" in config and trust_remote_code:
        return
    if model_type not in CONFIG_MAPPING:
        hint = "; its own code runs only with trust_remote_code" if "auto_map" in config else ""
        raise InputError(
            f"{folder / 'config.json'}: found model_type {model_type!r}; "
            f"wanted one that transformers {transformers.__version__} knows{hint}"
        )
    if CONFIG_MAPPING[model_type] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise Unsupported(f"{folder}: found a {model_type} model; wanted a causal language model")


def _from_pretrained(folder: Path, device: str, dtype: str, trust_remote_code: bool) -> Any:
    """Return transformers' model on the device, in evaluation mode; every failure is an InputError about the folder."""
    try:
        with _quiet_transformers():
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=DTYPES.get(dtype, "auto"),
                attn_implementation=NAME,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:
        if isinstance(error, KeyError) and error.args == (NAME,):
            raise Unsupported(
                f"{folder}: found a model that picks its attention layers from a list of its own; "
                "wanted one that uses transformers' attention interface"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{folder}: found a model that transformers can't load ({reason}); wanted a whole one"
        ) from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(f"{folder}: found no weights for {missing[0]} ({len(missing)} missing); wanted all weights")
    if dtype == "auto" and model.dtype not in DTYPES.values():
        _log.info("%s: %s is computed in float32", folder, model.dtype)
        model = model.to(torch.float32)
    return model.to(device).eval()


def _eos_ids(model: Any) -> frozenset[int]:
    for config in (model.generation_config, model.config.get_text_config()):
        ids = getattr(config, "eos_token_id", None)
        if ids is not None:
            return frozenset([ids] if isinstance(ids, int) else ids)
    return frozenset()


def _max_length(model: Any) -> int:
    config = model.config.get_text_config()
    longest = getattr(config, "max_position_embeddings", None)
    if not isinstance(longest, int) or longest < 1:
        raise Unsupported(
            f"{type(model).__name__}: found no max_position_embeddings; wanted the longest sequence's length"
        )
    return steady_length(getattr(config, "rope_parameters", None), longest)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep loading's progress bars and reports off the terminal: what matters is raised."""
    settings: Any = transformers_logging
    level, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(level)
        if bars:
            settings.enable_progress_bar()
