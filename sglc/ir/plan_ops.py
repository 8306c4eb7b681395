"""The operations of plans, which say when things are done; beside these, a plan has all that programs share."""

from __future__ import annotations

from collections.abc import Mapping

from sglc.ir.ops import PROGRAM_OPS, SHARED_ROWS, AttributeRow, OpRow, row

_ROLE = {"role": AttributeRow((str,))}

_REQUEST = {
    "turn": AttributeRow((int,), default=0),
    "keep": AttributeRow((bool,), default=False),
    "ahead": AttributeRow((int,), default=0),
}
"""What the scheduler is told: a request's turn among those of its row, whether the prompt behind it is gone on from,
and how many tokens that may take at most."""

PLAN_ROWS = (
    row("start", "A prompt with nothing in it.", "-> prompt"),
    row(
        "extend",
        "A prompt with texts behind it, tokenized when something is generated behind them.",
        "prompt text* -> prompt",
    ),
    row(
        "tokens",
        "A prompt with text behind it that is these tokens, whatever is before it and will follow.",
        "prompt -> prompt",
        {"ids": AttributeRow((int,), several=True), "text": AttributeRow((str,))},
    ),
    row(
        "arrange",
        "A prompt with texts behind it, in the order in which the rows of the batch have most in common.",
        "prompt text* -> prompt",
        {"number": AttributeRow((int,))},
    ),
    row("settle", "A prompt with its text in tokens, found once for all that go on from it.", "prompt -> prompt"),
    row("pin", "A prompt, the same in every row, whose KV stays while the batch runs.", "prompt -> prompt"),
    row("rank", "Rows begin in the depth-first order of the tree of these prompts.", "prompt"),
    row("open", "A prompt with the chat template's beginning of a message behind it.", "prompt -> prompt", _ROLE),
    row("close", "A prompt with the chat template's end of a message behind it.", "prompt -> prompt", _ROLE),
    row("rest", "A prompt whose template text does not wait for what follows it.", "prompt -> prompt"),
    row(
        "decode",
        "One request, or n, to the engine: prefill what its cache lacks, then decode.",
        "prompt -> prompt value",
        {**PROGRAM_OPS["gen"].attributes, **_REQUEST, "shared": AttributeRow((bool,), default=False)},
        PROGRAM_OPS["gen"].effect,
        PROGRAM_OPS["gen"].check,
    ),
    row(
        "score",
        "One request a choice: the log-probabilities of its tokens decide.",
        "prompt text* -> prompt text",
        {**PROGRAM_OPS["select"].attributes, **_REQUEST},
    ),
    row(
        "choose",
        "The choices as a tree of tokens: what inner nodes say of the next token decides, and leaves are not computed.",
        "prompt text* -> prompt text",
        {**PROGRAM_OPS["select"].attributes, **_REQUEST},
    ),
    row("release", "Nothing needs this prompt any more.", "prompt"),
)
"""Operations that say when."""

PLAN_OPS: Mapping[str, OpRow] = {each.name: each for each in (*PLAN_ROWS, *SHARED_ROWS)}
