"""Trains the small tokenizer that ships with sglc, from the text beside this script: `python train_tokenizer.py`.

It serves the replay model and the demo, which need a tokenizer but no model of somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).resolve().parent
VOCAB_SIZE = 2048
BOS, EOS = "<|bos|>", "<|endoftext|>"
SPECIAL = (BOS, "<|im_start|>", "<|im_end|>", EOS)
SPLIT = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

PEOPLE = ("Alice", "the teacher", "my brother", "a doctor", "Robert", "the new student", "our neighbor", "the captain")
DEEDS = (
    "opened the letter and read it twice",
    "asked whether anything was missing",
    "could not remember the name of the street",
    "promised to call back before the weekend",
    "explained the problem again, with different words",
    "found the answer on the last page",
)
TIMES = ("Yesterday", "In the evening", "Before the exam", "Last summer", "A few minutes later", "As usual")
TOPICS = ("history", "music", "science", "cooking", "sports", "economics", "health", "language", "law", "computers")
TASKS = (
    "Write a short paragraph about {}.",
    "Explain the most important idea of {} to a child.",
    "List five facts about {} that most people do not know.",
    "Question: What should everyone know about {}?\nAnswer:",
    '{{"topic": "{}", "score": 7, "reason": "clear and correct"}}',
)


def texts() -> Iterator[str]:
    """Yield the corpus, and sentences of its kind put together from parts."""
    yield from (FOLDER / "corpus.txt").read_text(encoding="utf-8").split("\n\n")
    yield from (f"{time}, {person} {deed}." for time, person, deed in product(TIMES, PEOPLE, DEEDS))
    yield from (task.format(topic) for task, topic in product(TASKS, TOPICS))


def train() -> Tokenizer:
    """Return a byte-level BPE of VOCAB_SIZE tokens, special ones first, that puts BOS before a text."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[AddedToken(text, normalized=False, special=True) for text in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[bos]
    )
    return tokenizer


def main() -> None:
    """Write `tokenizer/`."""
    folder = FOLDER / "tokenizer"
    folder.mkdir(exist_ok=True)
    train().save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "chat_template": (FOLDER / "chatml.jinja").read_text(encoding="utf-8"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
