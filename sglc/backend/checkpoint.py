"""A model folder on disk: found or downloaded, checked before anything heavy is loaded, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sglc.errors import InputError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py"]
_INDEX = "model.safetensors.index.json"
_SAMPLES = 16  # pieces of each weight file that enter the fingerprint
_SAMPLE_BYTES = 4096


def resolve_model(spec: str) -> Path:
    """Return the folder of a model: `spec` itself where it is a folder, else `owner/name[@revision]` from the hub.

    The hub's own settings hold: HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN. Raises InputError.
    """
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(spec) or spec.startswith("."):
        raise InputError(f"{spec}: found no such folder; wanted a model folder or owner/name[@revision] of the hub")
    from huggingface_hub import snapshot_download

    name, _, revision = spec.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=_HUB_FILES))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{spec}: found neither a folder of that name nor a model of the hub in the local cache or online "
            f"({reason}); wanted a model folder or owner/name[@revision]"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json. Raises InputError for a folder without a readable one that names a model type."""
    if not folder.is_dir():
        raise InputError(f"{folder}: found no such folder; wanted a model folder with config.json")
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: found no config.json; wanted a model folder in Hugging Face format")
    config = _read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{path}: found no model_type; wanted the configuration of a transformers model")
    return config


def check_weights(folder: Path) -> None:
    """Raise InputError unless every safetensors file that the folder should have is there and whole."""
    for path in _weight_files(folder):
        if not path.is_file():
            raise InputError(f"{folder}: found no {path.name}, which {_INDEX} lists; wanted all weight files")
        size, wanted = path.stat().st_size, _whole_size(path)
        if size != wanted:
            raise InputError(f"{path}: found {size:,} bytes; wanted {wanted:,}: the file is truncated or damaged")


def fingerprint(folder: Path, *settings: str) -> str:
    """Return 16 hex digits of the configuration, the settings and samples of the weights: cheap for any size."""
    digest = hashlib.sha256(repr(settings).encode())
    for name in ("config.json", "generation_config.json", _INDEX):
        path = folder / name
        digest.update(path.read_bytes() if path.is_file() else b"-")
    for path in _weight_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(size * sample // _SAMPLES)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that belong to the checkpoint, which need not exist."""
    index = folder / _INDEX
    if index.is_file():
        weight_map = _read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise InputError(f"{index}: found no weight_map; wanted the file of each tensor")
        return [folder / name for name in sorted(set(weight_map.values()))]
    single = folder / "model.safetensors"
    if not single.is_file():
        others = ", ".join(_names_of_weights(folder)) or "none"
        raise InputError(f"{folder}: found no safetensors weights (weight files: {others}); wanted model.safetensors")
    return [single]


def _names_of_weights(folder: Path) -> Iterator[str]:
    return (path.name for path in sorted(folder.iterdir()) if path.suffix in {".bin", ".pt", ".pth", ".gguf"})


def _whole_size(path: Path) -> int:
    """Return the size that a safetensors file's header promises."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = file.read(length) if 0 < length <= path.stat().st_size else b""
    try:
        tensors = json.loads(header)
        ends = [int(tensor["data_offsets"][1]) for name, tensor in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: found no readable header; wanted a safetensors file: it is truncated or damaged"
        ) from error
    return 8 + length + max(ends, default=0)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: found no readable JSON ({error}); wanted a JSON object") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: found a JSON {type(value).__name__}; wanted a JSON object")
    return value
