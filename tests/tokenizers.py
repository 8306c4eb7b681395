"""Real vocabularies as `tokenizer.json`, built from the published ranks and pieces that SGLC_TEST_DATA holds.

`load("gpt2")` and its like raise pytest's skip where the data is missing; `small()` needs no data.
"""

from __future__ import annotations

import base64
import getpass
import gzip
import hashlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from sglc.backend.token_bytes import BYTE_TO_CHAR
from sglc.backend.tokenizer import Tokenizer

NAMES = ("gpt2", "cl100k_base", "qwen", "o200k_base", "mistral_v1")
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "add_bos_token": False},
    "cl100k_base": {"eos_token": "<|endoftext|>"},
    "qwen": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "o200k_base": {"eos_token": "<|endoftext|>"},
    "mistral_v1": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
}
_FORMAT = 3  # raise it when `_build` changes what it builds


def load(name: str, chat_template: str | None = None) -> Tokenizer:
    """Return the tokenizer `name` (one of NAMES); skips the test where SGLC_TEST_DATA lacks it."""
    backend = tokenizers.Tokenizer.from_file(str(json_file(name)))
    return Tokenizer(backend, config=CONFIGS[name], chat_template=chat_template, name=name)


def small() -> Tokenizer:
    """Return the tokenizer that ships with sglc, for tests that need no data."""
    return Tokenizer.packaged()


def save(name: str, folder: Path, chat_template: str | None = None) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into a checkpoint folder, made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(json_file(name).read_bytes())
    config = CONFIGS[name] | {"tokenizer_class": "PreTrainedTokenizerFast"}
    if chat_template is not None:
        config["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def spaced(scheme: str, specials: Sequence[AddedToken] = ()) -> tokenizers.Tokenizer:
    """Return a tiny SentencePiece-style BPE with byte fallback and BOS `<s>`, that needs no data.

    `scheme` says where the dummy prefix comes from: the normalizer ("prepend", as in Llama 2), or the pre-tokenizer,
    before the "first" stretch of a text or "always" after special tokens too.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False)
    tokenizer.train_from_iterator(
        ["You are a helpful assistant. What is the name of the user? Hello, hello! "] * 3, trainer
    )
    trained = json.loads(tokenizer.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *trained["vocab"]]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = [(left, right) for left, right in trained["merges"]]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if scheme == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    return _finish_spaced(tokenizer, [*pieces[:3], *specials])


def data_folder() -> Path:
    """Return the folder of vocabularies and golden encodings, or skip."""
    root = os.environ.get("SGLC_TEST_DATA")
    if not root or not (Path(root) / "tokenizers" / "manifest.json").exists():
        pytest.skip("SGLC_TEST_DATA does not name a data folder with tokenizers/")
    return Path(root) / "tokenizers"


def json_file(name: str) -> Path:
    """Return the path of the tokenizer's `tokenizer.json`, built once per user and content."""
    entry = next(e for e in json.loads((data_folder() / "manifest.json").read_bytes()) if e["name"] == name)
    source = data_folder() / entry.get("pieces_file", entry["file"])
    digest = hashlib.sha256(f"{_FORMAT}{json.dumps(entry)}".encode() + source.read_bytes()).hexdigest()[:16]
    cached = Path(tempfile.gettempdir()) / f"sglc-tests-{getpass.getuser()}" / f"{name}-{digest}.json"
    if not cached.exists():
        cached.parent.mkdir(mode=0o700, exist_ok=True)
        raw = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
        built = _from_pieces(json.loads(raw)) if "pieces_file" in entry else _from_ranks(raw, entry)
        unfinished = cached.with_suffix(f".{os.getpid()}")  # another process may build the same
        built.save(str(unfinished), pretty=False)
        unfinished.replace(cached)
    return cached


def _from_ranks(raw: bytes, entry: dict[str, Any]) -> tokenizers.Tokenizer:
    """Return a byte-level BPE from tiktoken's lines "base64 rank"."""
    lines = [(int(rank), base64.b64decode(token)) for token, rank in map(bytes.split, raw.splitlines())]
    ranks = {token: rank for rank, token in sorted(lines)}
    text = {token: "".join(map(BYTE_TO_CHAR.__getitem__, token)) for token in ranks}
    merges = [_last_merge(token, rank, ranks) for token, rank in ranks.items() if len(token) > 1]
    model = models.BPE(
        vocab={text[token]: rank for token, rank in ranks.items()},
        merges=[(text[left], text[right]) for left, right in merges],
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_oniguruma(entry["pat_str"])), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _add_special_tokens(tokenizer, entry["special_tokens"])
    return tokenizer


def _oniguruma(pattern: str) -> str:
    """Return tiktoken's pattern in the dialect of `tokenizers`.

    There `{1,3}+` repeats and `$` ends a line. The patterns never backtrack into a possessive part to any effect, so
    a plain greedy one splits alike.
    """
    return re.sub(r"([+?*]|\{\d,\d\})\+", r"\1", pattern).replace("$", r"\z")


def _last_merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two parts that byte-pair encoding with the ranks below `rank` leaves of a token."""
    parts = [token[i : i + 1] for i in range(len(token))]
    pairs = [ranks.get(a + b, rank) for a, b in itertools.pairwise(parts)]
    while len(parts) > 2:
        i = pairs.index(min(pairs))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
        del pairs[i]
        for left in (i - 1, i):
            if 0 <= left < len(pairs):
                pairs[left] = ranks.get(parts[left] + parts[left + 1], rank)
    return parts[0], parts[1]


def _add_special_tokens(tokenizer: tokenizers.Tokenizer, special: dict[str, int | str]) -> None:
    """Add special tokens at their ids; ids that the vocabulary skips get a placeholder token each."""
    ids: dict[int, str] = {}
    for text, wanted in special.items():
        if isinstance(wanted, str):  # "<|extra_0..204|>": "151646..151850"
            first, last = map(int, wanted.split(".."))
            ids |= {first + i: text.replace("0..204", str(i)) for i in range(last - first + 1)}
        else:
            ids[wanted] = text
    for i in range(tokenizer.get_vocab_size(), max(ids) + 1):
        tokenizer.add_special_tokens([AddedToken(ids.get(i, f"<|unused_{i}|>"), normalized=False, special=True)])


def _from_pieces(pieces: list[tuple[str, float, str]]) -> tokenizers.Tokenizer:
    """Return a SentencePiece BPE with byte fallback, dummy prefix and BOS, from [piece, score, type] in id order.

    SentencePiece merges the leftmost pair among equal scores, and so grows runs of spaces from the left: hence longer
    pieces, and longer left parts, come first here.
    """
    vocab = {piece: i for i, (piece, _, _) in enumerate(pieces)}
    plain = {piece: i for i, (piece, _, kind) in enumerate(pieces) if kind == "normal"}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in sorted(plain, key=lambda piece: (-pieces[plain[piece]][1], -len(piece)))
        for cut in range(len(piece) - 1, 0, -1)
        if piece[:cut] in plain and piece[cut:] in plain
    ]
    model = models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _finish_spaced(tokenizer, [piece for piece, _, kind in pieces if kind in ("unk", "control")])


def _finish_spaced(tokenizer: tokenizers.Tokenizer, specials: Sequence[str | AddedToken]) -> tokenizers.Tokenizer:
    """Give a SentencePiece-style tokenizer its decoder, its special tokens and the BOS before a text."""
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(
        [AddedToken(s, normalized=False, special=True) if isinstance(s, str) else s for s in specials]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer
