"""What a model folder says about its tokenizer: the tokenizer itself, its configuration and its chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from sglc.errors import InputError

DATA = Path(__file__).resolve().parent.parent / "data"
"""The folder of files that ship with sglc."""

_OLDER_FILES = ("tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tokenizer_config.json")


def read_backend(path: Path) -> tokenizers.Tokenizer:
    """Return the tokenizer of a model folder, or of a `tokenizer.json`. Raises InputError."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if file.is_file():
        try:
            return tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise InputError(f"found {file}, which can't be read ({error}); wanted a Hugging Face tokenizer") from error
    if not path.exists():
        raise InputError(f"found no {path}; wanted a model folder or a tokenizer.json file")
    if not any((path / name).is_file() for name in _OLDER_FILES):
        raise InputError(f"found no tokenizer in {path}; wanted a folder with tokenizer.json")
    return _converted(path)


def _converted(folder: Path) -> tokenizers.Tokenizer:
    """Return what transformers makes of the older tokenizer files of `folder`."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        backend: tokenizers.Tokenizer = tokenizer.backend_tokenizer
    except Exception as error:  # depends on the files' format and on what is installed
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"found no tokenizer.json in {folder}, nor files to make it from ({reason})") from error
    return backend


def read_config(path: Path) -> dict[str, Any]:
    """Return `tokenizer_config.json` of a folder (or beside a file), with special tokens and template filled in."""
    folder = path if path.is_dir() else path.parent
    config = _read_json(folder / "special_tokens_map.json") | _read_json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    if template.is_file():
        config["chat_template"] = template.read_text(encoding="utf-8")
    return config


def read_template(wish: str) -> str:
    """Return the Jinja source that `--chat-template` asks for: "chatml", or that of a file. Raises InputError."""
    file = DATA / "chatml.jinja" if wish == "chatml" else Path(wish)
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"found no readable chat template {wish} ({error}); wanted a Jinja file, or chatml") from error


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"found {file}, which is not JSON ({error}); wanted a JSON object") from error
    if not isinstance(content, dict):
        raise InputError(f"found {file} with a {type(content).__name__}; wanted a JSON object")
    return content


def token_text(value: Any) -> str | None:
    """Return the text of a special token as configurations write it: a string, or an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def template_source(config: Mapping[str, Any]) -> str | None:
    """Return the Jinja source of the configuration's chat template: the only one, or the one named default."""
    value = config.get("chat_template")
    if isinstance(value, list):
        value = next((entry["template"] for entry in value if entry.get("name") == "default"), None)
    return value if isinstance(value, str) else None


def template_variables(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the special tokens that a template may name: `bos_token` and its like."""
    names = [name for name in config if name.endswith("_token") and not name.startswith("add_")]
    variables: dict[str, Any] = {name: text for name in names if (text := token_text(config[name])) is not None}
    more = config.get("additional_special_tokens") or []
    if isinstance(more, list):
        variables["additional_special_tokens"] = [text for text in map(token_text, more) if text is not None]
    return variables
