"""Tokenizers against golden encodings, the bytes of their tokens, and Python's own UTF-8 decoder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors

from sglc.backend.detokenizer import Detokenizer
from sglc.backend.encode_memo import EncodeMemo
from sglc.backend.token_bytes import BYTE_TO_CHAR
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.errors import InputError, Unsupported
from tests.tokenizers import NAMES, data_folder, load, save, small, spaced

SCHEMES = ("prepend", "first", "always")
NASTY = [
    "",
    " ",
    "  x",
    "é",
    "e\u0301",
    "🏳️\u200d🌈 flag",
    "\x00\x1f",
    "日本語 text",
    "<s>",
    "a<|im_end|>b",
    "▁",
    "<0x41>",
    "\ud7ff",
]
_small = small()
_spaced = {scheme: Tokenizer(spaced(scheme)) for scheme in SCHEMES}
texts = st.text(max_size=40) | st.lists(st.sampled_from([*NASTY, "the", " name", "\n"]), max_size=8).map("".join)


@pytest.mark.parametrize("name", NAMES)
def test_golden_encodings(name: str) -> None:
    tokenizer = load(name)
    rows = [json.loads(line) for line in (data_folder() / "golden_encodings.jsonl").read_text("utf-8").splitlines()]
    wanted = [row["ids"][name] for row in rows]
    assert len(rows) == 156
    assert [tokenizer.encode(row["text"], at_start=True) for row in rows] == wanted
    assert load(name).encode_batch([row["text"] for row in rows], [True] * len(rows)) == wanted
    for row in rows:
        ids, ends = tokenizer.encode_with_ends(row["text"])
        assert tokenizer.decode(ids) == row["text"] == tokenizer.detokenizer().push_many(ids)
        assert ends == sorted(ends)
        assert (ends[-1] if ends else 0) == len(row["text"])


@pytest.mark.parametrize("name", ["gpt2", "mistral_v1"])
def test_a_saved_folder_loads_as_the_same(name: str, tmp_path: Path) -> None:
    save(name, tmp_path, chat_template="{{ messages }}")
    again, first = Tokenizer.load(tmp_path), load(name)
    assert (again.eos_id, again.prefix, again.special_ids) == (first.eos_id, first.prefix, first.special_ids)
    assert again.chat is not None
    assert again.token_bytes == first.token_bytes
    assert again.fingerprint != first.fingerprint  # the template is part of it


@given(texts)
def test_bytes_survive(text: str) -> None:
    for tokenizer in (_small, *_spaced.values()):
        ids = tokenizer.encode(text)
        assert b"".join(tokenizer.token_bytes[i] for i in ids) == text.replace("▁", " ").encode() or "▁" in text
        assert set(ids).isdisjoint(tokenizer.special_ids.values())


@given(texts)
def test_ends_cover_the_text_in_characters(text: str) -> None:
    for tokenizer in (_small, *_spaced.values()):
        for at_start in (False, True):
            ids, ends = tokenizer.encode_with_ends(text, at_start=at_start)
            assert ids == tokenizer.encode(text, at_start=at_start)
            assert len(ends) == len(ids)
            assert ends == sorted(ends)
            assert (ends[-1] if ends else 0) == len(text)
            if "▁" in text:
                continue
            written = b" " * (sum(len(tokenizer.token_bytes[i]) for i in ids) - len(text.encode())) + text.encode()
            for count, end in enumerate(ends, 1):
                upto = b"".join(tokenizer.token_bytes[i] for i in ids[:count])
                assert written[: len(upto)] == upto
                assert len((" " * (len(written) - len(text.encode())) + text[:end]).encode()) >= len(upto)


def test_the_end_of_a_token_that_holds_part_of_a_character() -> None:
    ids, ends = _spaced["first"].encode_with_ends("hello 🙂!")
    assert ends[-5:] == [7, 7, 7, 7, 8]
    assert len(ids) == len(ends)


def test_ends_where_a_normalizer_changes_the_text() -> None:
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    backend.normalizer = tokenizers.normalizers.NFC()
    ids, ends = Tokenizer(backend).encode_with_ends("cafe\u0301 au lait")
    assert ends[-1] == len("cafe\u0301 au lait")
    assert ends == sorted(ends)
    assert len(ids) == len(ends)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_dummy_prefix_stands_only_at_the_start(scheme: str) -> None:
    tokenizer, plain = _spaced[scheme], spaced(scheme)
    text = "hello, what is it?"
    assert tokenizer.encode(text, at_start=True) == plain.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(tokenizer.encode(text, at_start=True)) == " " + text
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(" " + text) == tokenizer.encode(text, at_start=True)
    assert tokenizer.prefix == (tokenizer.special_ids["<s>"],)
    assert tokenizer.restarts_after_special == (scheme != "first")


def test_a_byte_level_prefix_space_stands_only_at_the_start() -> None:
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer = Tokenizer(backend)
    assert tokenizer.encode("the", at_start=True) == tokenizer.encode(" the") != tokenizer.encode("the")
    assert tokenizer.encode_with_ends("the", at_start=True)[1] == [3]


def test_text_that_spells_a_special_token_is_text() -> None:
    tokenizer = small()
    ids = tokenizer.encode("<|im_end|><|bos|>")
    assert tokenizer.decode(ids) == "<|im_end|><|bos|>"
    assert set(ids).isdisjoint(tokenizer.special_ids.values())
    assert tokenizer.decode([*tokenizer.special_ids.values()]) == ""


def test_added_tokens_that_are_not_special_are_recognised_and_have_bytes() -> None:
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    backend.add_tokens([AddedToken("<think>", normalized=False, special=False)])
    tokenizer = Tokenizer(backend)
    assert tokenizer.encode("<think>") == [2048]
    assert tokenizer.token_bytes[2048] == b"<think>"
    assert tokenizer.vocab_size == 2049


def test_a_vocabulary_that_makes_special_tokens_out_of_text_is_refused() -> None:
    backend = tokenizers.Tokenizer(models.BPE({"<": 0, "s": 1, "<s": 2}, [("<", "s")]))
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s"])
    with pytest.raises(Unsupported, match="reads '<s' in a text as special"):
        Tokenizer(backend)


def test_an_unknown_token_is_no_special_token_made_of_text() -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.add_special_tokens(["[UNK]", "<s>"])
    assert Tokenizer(backend).encode("<s>") == [1]


def test_the_prefix_leaves_suffixes_out_and_the_configuration_overrules_it() -> None:
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    backend.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A <|endoftext|>", special_tokens=[("<|bos|>", 0), ("<|endoftext|>", 3)]
    )
    config: dict[str, Any] = {"bos_token": {"content": "<|bos|>"}, "eos_token": "<|im_end|>"}
    tokenizer = Tokenizer(backend, config=config)
    assert (tokenizer.prefix, tokenizer.eos_id, tokenizer.eos_ids) == ((0,), 2, frozenset({2}))
    assert Tokenizer(backend, config=config | {"add_bos_token": False}).prefix == ()
    backend.post_processor = processors.ByteLevel()
    assert Tokenizer(backend, config=config).prefix == ()
    assert Tokenizer(backend, config=config | {"add_bos_token": True}).prefix == (0,)


def test_truncation_and_padding_in_the_file_are_ignored() -> None:
    backend = tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=64)
    assert Tokenizer(backend).encode("one two three four five six") == _small.encode("one two three four five six")


def test_template_text_honours_tokens_that_swallow_blanks() -> None:
    backend = spaced(
        "first", [AddedToken("<a>", lstrip=True, special=True), AddedToken("<b>", rstrip=True, special=True)]
    )
    tokenizer = Tokenizer(backend)
    a, b = tokenizer.special_ids["<a>"], tokenizer.special_ids["<b>"]
    assert tokenizer.template_pieces("x \n<a> y<b>\n z", at_start=False) == ["x", a, " y", b, "z"]
    assert tokenizer.template_pieces("<b> \n<a>", at_start=False) == [b, a]
    assert tokenizer.template_pieces("", at_start=True) == []
    assert tokenizer.template_pieces("hello<a>", at_start=True) == [" hello", a]


def test_a_text_that_utf8_can_not_write_is_named() -> None:
    with pytest.raises(InputError, match=r"half of a surrogate pair, U\+D83D, in a text"):
        _small.encode_batch(["fine", "ab\ud83d"], [False, False])


def test_calls_count_texts_that_were_not_remembered() -> None:
    tokenizer = small()
    assert tokenizer.encode_batch(["a", "b", "a"], [False, False, True]) == [tokenizer.encode(t) for t in "aba"]
    assert tokenizer.calls == 2
    tokenizer.encode("a").append(7)  # a caller may change its list
    assert tokenizer.encode("a") == [*tokenizer.encode("a")] != [*tokenizer.encode("a"), 7]
    with pytest.raises(ValueError, match="zip"):
        tokenizer.encode_batch(["a"], [])


def test_the_memo_forgets_what_was_used_least_recently() -> None:
    memo = EncodeMemo(capacity=160)
    for i in range(16):
        memo.put_many({(f"{i:010}", False): [i]})
    assert memo.get_many([("0000000000", False)]) == {("0000000000", False): [0]}
    memo.put_many({("new", True): [1], ("x" * 11, False): [2]})  # the second is too long to keep
    assert ("0000000000", False) in memo.get_many([("0000000000", False)])
    assert memo.get_many([("0000000001", False), ("new", True), ("new", False), ("x" * 11, False)]) == {
        ("new", True): [1]
    }


def test_threads_may_share_a_tokenizer() -> None:
    tokenizer = small()
    wanted = {f"text number {i}": _small.encode(f"text number {i}") for i in range(50)}
    wrong: list[str] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(text for text, ids in wanted.items() if tokenizer.encode(text) != ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(st.lists(st.binary(max_size=5) | texts.map(str.encode), max_size=12), st.data())
@settings(max_examples=300)
def test_a_detokenizer_adds_up_to_pythons_decoder(chunks: list[bytes], data: st.DataObject) -> None:
    detokenizer = Detokenizer(chunks, {})
    ids = [data.draw(st.integers(0, max(0, len(chunks)))) for _ in chunks]  # the last is no token
    joined = b"".join(chunks[i] for i in ids if i < len(chunks))
    for _ in range(2):  # again, with the memo warm
        assert "".join(map(detokenizer.push, ids)) + detokenizer.flush() == joined.decode("utf-8", "replace")
    assert detokenizer.push_many(ids) + detokenizer.flush() == joined.decode("utf-8", "replace")


def test_a_character_appears_with_its_last_byte() -> None:
    detokenizer = Detokenizer([b"a", b"\xf0\x9f", b"\x99\x82", b"", b"\xff"], {})
    assert [detokenizer.push(i) for i in (0, 1, 3, 2, 0, 4, 1)] == ["a", "", "", "🙂", "a", "\ufffd", ""]
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.flush() == ""


def test_bytes_of_a_byte_level_vocabulary() -> None:
    vocab = {BYTE_TO_CHAR[byte]: byte for byte in range(256)} | {"plain words": 256}
    backend = tokenizers.Tokenizer(models.BPE(vocab, []))
    backend.decoder = decoders.ByteLevel()
    assert list(Tokenizer(backend).token_bytes) == [*(bytes([byte]) for byte in range(256)), b"plain words"]


@pytest.mark.parametrize(
    ("decoder", "name"),
    [(decoders.WordPiece(), "WordPiece"), (None, "none"), (decoders.Sequence([decoders.CTC()]), "CTC")],
)
def test_a_decoder_without_bytes_is_unsupported(decoder: Any, name: str) -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    if decoder is not None:
        backend.decoder = decoder
    with pytest.raises(Unsupported, match=f"decoder {name}"):
        _ = Tokenizer(backend).token_bytes


def test_faults_of_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer in"):
        Tokenizer.load(tmp_path)
    with pytest.raises(InputError, match="wanted a model folder"):
        Tokenizer.load(tmp_path / "missing")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((PACKAGED / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(InputError, match="wanted a JSON object"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        Tokenizer.load(tmp_path)


def test_a_template_file_or_a_list_of_named_templates(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((PACKAGED / "tokenizer.json").read_bytes())
    named = [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    chat = Tokenizer.load(tmp_path).chat
    assert chat is not None
    assert chat.source == "D"
    (tmp_path / "chat_template.jinja").write_text("F")
    chat = Tokenizer.load(tmp_path / "tokenizer.json").chat
    assert chat is not None
    assert chat.source == "F"


def test_older_tokenizer_files_go_through_transformers(tmp_path: Path) -> None:
    spec = json.loads((PACKAGED / "tokenizer.json").read_bytes())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(spec["vocab"]))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(merge) for merge in spec["merges"])]))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})
    )
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.decode(tokenizer.encode("The river is wide.")) == "The river is wide."
    assert tokenizer.eos_id == 3


def test_the_packaged_tokenizer_is_light() -> None:
    """It is what its script trains, and needs neither torch, transformers nor jinja2."""
    tokenizer = small()
    assert (tokenizer.vocab_size, tokenizer.prefix) == (2048, (tokenizer.special_ids["<|bos|>"],))
    assert tokenizer.chat is not None
    assert tokenizer.chat.end_ids == {tokenizer.special_ids["<|im_end|>"]}
    assert sum(file.stat().st_size for file in PACKAGED.iterdir()) < 200_000
    source = (
        "import sys; from sglc.backend.tokenizer import Tokenizer; Tokenizer.packaged().encode('a');"
        "sys.exit(len({'torch', 'transformers', 'jinja2'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", source], check=True)


def test_training_again_gives_the_packaged_tokenizer() -> None:
    from sglc.data.train_tokenizer import train

    assert json.loads(train().to_str()) == json.loads((PACKAGED / "tokenizer.json").read_bytes())
