"""Chat templates of the shapes in use, taken apart and put together again, against transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken

from sglc.backend.chat_template import ChatTemplate
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.backend.tokenizer_files import read_template
from sglc.errors import InputError, ProgramError
from tests.tokenizers import small, spaced

CHATML = read_template("chatml")
CHATML_WITH_DEFAULT = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}" + CHATML
)
LLAMA3 = """
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
LLAMA2 = """
{%- if messages[0].role == 'system' %}
    {%- set system, rest = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n', messages[1:] %}
{%- else %}
    {%- set system, rest = '', messages %}
{%- endif %}
{%- for message in rest %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {{- bos_token + '[INST] ' + (system if loop.first else '') + message.content + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message.content + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}
"""
MISTRAL = """
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '[INST] ' + message.content + ' [/INST]' }}
    {%- elif message.role == 'assistant' %}
        {{- message.content + eos_token }}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported') }}
    {%- endif %}
{%- endfor %}
"""
GEMMA = """
{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
    {%- set role = 'model' if message.role == 'assistant' else message.role %}
    {{- '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}
"""
PHI3 = """
{%- for message in messages %}
    {{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}
"""
THINKING = """
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' }}
    {%- if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
    {{- message.content.split('</think>')[-1] + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
"""
PLAIN = """
{%- for message in messages %}
    {{- message.role + ': ' + message.content + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'assistant:' }}{% endif %}
"""
TEMPLATES = {
    "plain": (PLAIN, True),
    "chatml": (CHATML, True),
    "chatml with default": (CHATML_WITH_DEFAULT, True),
    "llama 3": (LLAMA3, True),
    "llama 2": (LLAMA2, True),
    "mistral": (MISTRAL, False),
    "gemma": (GEMMA, False),
    "phi 3": (PHI3, True),
    "thinking": (THINKING, True),
}
SPECIALS = ("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>")
SWALLOWING = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>")  # Phi-3's take the blanks behind them
CONTENTS = {"system": "Be brief.", "user": "What is s in HTML?", "assistant": "Hello! It is\nstruck through."}
CHATS = [
    ("user",),
    ("user", "assistant", "user"),
    ("system", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
]


def template(source: str, special_ids: dict[str, int] | None = None) -> ChatTemplate:
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    ids = {"<s>": 1, "</s>": 2, "<|im_end|>": 3, "<|end|>": 4, "<|assistant|>": 5}
    return ChatTemplate(source, variables=names, special_ids=ids if special_ids is None else special_ids)


def backend(vocabulary: str) -> tokenizers.Tokenizer:
    """Return a fresh tokenizer, byte-level or `spaced`, since both sides change theirs."""
    if vocabulary == "byte-level":
        return tokenizers.Tokenizer.from_file(str(PACKAGED / "tokenizer.json"))
    added = [AddedToken(text, normalized=False, special=True) for text in (*SPECIALS, "<end_of_turn>")]
    added += [AddedToken(text, normalized=False, special=True, rstrip=True) for text in SWALLOWING]
    return spaced(vocabulary, added)


def chat_ids(tokenizer: Tokenizer, roles: Sequence[str]) -> list[int]:
    """Build the prompt of a conversation, ready to generate, one message at a time."""
    chat = tokenizer.chat
    assert chat is not None
    pieces: list[int | str] = []

    def append(text: str) -> None:
        if text and pieces and isinstance(last := pieces[-1], str):
            pieces[-1] = last + text
        elif text:
            pieces.append(text)

    def append_template(text: str) -> None:
        for piece in tokenizer.template_pieces(text, at_start=not pieces):
            append(piece) if isinstance(piece, str) else pieces.append(piece)

    for i, role in enumerate(roles):
        append_template(chat.opening(roles[:i], role, written=True))
        append(CONTENTS[role])
        append_template(chat.closing(roles[:i], role))
    append_template(chat.opening(roles, "assistant"))
    ids: list[int] = []
    for i, piece in enumerate(pieces):
        if isinstance(piece, int):
            ids.append(piece)
        else:
            ids += tokenizer.encode(piece, at_start=i > 0 and tokenizer.restarts_after_special)
    return ids


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("vocabulary", ["byte-level", "prepend", "first", "always"])
def test_a_prompt_grown_by_messages_is_what_transformers_renders(name: str, vocabulary: str) -> None:
    from transformers import PreTrainedTokenizerFast

    source, takes_system = TEMPLATES[name]
    bos, eos = ("<|bos|>", "<|endoftext|>") if vocabulary == "byte-level" else ("<s>", "</s>")
    ours = Tokenizer(backend(vocabulary), config={"bos_token": bos, "eos_token": eos}, chat_template=source)
    fast: Any = PreTrainedTokenizerFast
    theirs = fast(tokenizer_object=backend(vocabulary), chat_template=source, bos_token=bos, eos_token=eos)
    for roles in CHATS if takes_system else CHATS[:2]:
        messages = [{"role": role, "content": CONTENTS[role]} for role in roles]
        wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        if name == "thinking":  # the generation prompt's turn is rendered as history: nothing is inserted
            assert "<think>" not in theirs.decode(wanted)
        assert chat_ids(ours, roles) == wanted, roles


def test_chatml_pieces() -> None:
    chat = template(CHATML)
    assert chat.opening([], "user") == "<|im_start|>user\n"
    assert chat.closing([], "user") == "<|im_end|>\n"
    assert chat.opening(["user"], "assistant") == "<|im_start|>assistant\n"
    assert chat.closing(["user"], "assistant") == "<|im_end|>\n"


def test_a_supplied_system_prompt_belongs_to_the_first_opening() -> None:
    chat = template(CHATML_WITH_DEFAULT)
    assert chat.opening([], "user") == "<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\n"
    assert chat.opening([], "system") == "<|im_start|>system\n"
    assert chat.opening(["system"], "user") == "<|im_start|>user\n"


def test_a_system_text_folded_into_the_first_question() -> None:
    chat = template(LLAMA2)
    assert chat.opening([], "system") == "<s>[INST] <<SYS>>\n"
    assert chat.closing([], "system") == ""
    assert chat.opening(["system"], "user") == "\n<</SYS>>\n\n"
    assert chat.closing(["system"], "user") == " [/INST]"
    assert chat.opening(["system", "user"], "assistant") == ""
    assert chat.opening(["system", "user"], "assistant", written=True) == " "
    assert chat.opening(["system", "user", "assistant"], "user") == "<s>[INST] "


def test_a_mark_of_the_conversations_end_is_not_kept() -> None:
    chat = template(PHI3)
    assert chat.closing([], "user") == "<|end|>\n"
    assert chat.closing(["user"], "assistant") == "<|end|>\n"
    assert chat.opening(["user", "assistant"], "user") == "<|user|>\n"


def test_long_chats_need_no_deep_stack() -> None:
    chat = template(CHATML)
    turns = ["user", "assistant"] * 250
    assert chat.opening(turns, "user") == "<|im_start|>user\n"


SHOWS_LAST = "{{ messages[-1].content }}"
SHOWS_NO_SYSTEM = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
COUNTS = "{{ messages | length }}{% for m in messages %}:{{ m.content }}{% endfor %}"
PROMPTS_TO_THINK = THINKING.replace("assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif")


@pytest.mark.parametrize(
    ("source", "turns", "role", "says"),
    [
        (GEMMA, [], "system", r"refuses a system message at the beginning \(System role not supported\)"),
        (MISTRAL, ["user"], "system", r"refuses a system message after user \(Only user"),
        (LLAMA2, ["user"], "user", r"refuses a user message after user \(Roles must alternate\)"),
        (SHOWS_LAST, ["user"], "user", "drops, repeats or moves messages before a user message after user"),
        (SHOWS_NO_SYSTEM, [], "system", "leaves out a system message at the beginning"),
        (COUNTS, ["user"], "user", "changes what comes before a user message after user"),
        (
            PROMPTS_TO_THINK,
            ["user", "assistant"],
            "user",
            "changes what comes before a user message after user, assistant",
        ),
        ("{{ messages[0].content + 1 }}", [], "user", "refuses a user message"),
    ],
)
def test_a_template_that_can_not_grow_is_named(source: str, turns: list[str], role: str, says: str) -> None:
    with pytest.raises(ProgramError, match=says) as caught:
        template(source).opening(turns, role)
    assert "--chat-template FILE or --chat-template chatml" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "special_ids", "ids", "strings"),
    [
        (CHATML, {"<|im_end|>": 7}, {7}, ()),
        (CHATML, {}, set(), ("<|im_end|>",)),
        (LLAMA2, {"</s>": 2}, {2}, ()),
        (PHI3, {"<|end|>": 4, "</s>": 2}, {4}, ()),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", {}, set(), ()),
    ],
)
def test_what_ends_a_turn(source: str, special_ids: dict[str, int], ids: set[int], strings: tuple[str, ...]) -> None:
    chat = template(source, special_ids)
    assert chat.end_ids == frozenset(ids)
    assert chat.end_strings == strings


def test_the_names_that_hugging_face_gives_templates() -> None:
    source = (
        "{% for m in messages %}{% generation %}{{ m | tojson }}{% endgeneration %}{% if loop.first %}{% continue %}"
        "{% endif %}{% endfor %}{{ strftime_now('%Y')[:2] }}{{ bos_token }}{{ tools is none }}"
    )
    chat = template(source)
    assert chat.opening([], "user") == '{"role": "user", "content": "'
    assert chat.closing([], "user") == '"}20<s>True'


def test_templates_are_sandboxed() -> None:
    with pytest.raises(ProgramError, match="refuses"):
        template("{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}").opening([], "user")


def test_a_template_that_is_not_jinja() -> None:
    with pytest.raises(InputError, match="line 1"):
        template("{% for %}").opening([], "user")


def test_a_template_from_a_file_overrides_the_folders_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}#{{ m.content }}{% endfor %}")
    chat = Tokenizer.load(PACKAGED, chat_template=str(file)).chat
    assert chat is not None
    assert chat.opening([], "user") == "#"
    with pytest.raises(InputError, match=r"no readable chat template .*nowhere\.jinja"):
        Tokenizer.load(PACKAGED, chat_template=str(tmp_path / "nowhere.jinja"))


def test_chatml_is_plain_text_where_the_vocabulary_lacks_it() -> None:
    tokenizer = Tokenizer(spaced("prepend"), chat_template=CHATML)
    assert tokenizer.template_pieces("<|im_start|>user\n", at_start=False) == ["<|im_start|>user\n"]
    assert small().template_pieces("<|im_start|>user\n", at_start=False) == [1, "user\n"]
