"""The operations of plans, which say when things are done; beside these, a plan has all that programs share."""

from __future__ import annotations

from collections.abc import Mapping

from sglc.ir.ops import PROGRAM_OPS, SHARED_ROWS, AttributeRow, OpRow, row

_ROLE = {"role": AttributeRow((str,))}

PLAN_ROWS = (
    row("start", "A prompt with nothing in it.", "-> prompt"),
    row(
        "extend",
        "A prompt with texts behind it, tokenized when something is generated behind them.",
        "prompt text* -> prompt",
    ),
    row("open", "A prompt with the chat template's beginning of a message behind it.", "prompt -> prompt", _ROLE),
    row("close", "A prompt with the chat template's end of a message behind it.", "prompt -> prompt", _ROLE),
    row("rest", "A prompt whose template text does not wait for what follows it.", "prompt -> prompt"),
    row(
        "decode",
        "One request, or n, to the engine: prefill what its cache lacks, then decode.",
        "prompt -> prompt value",
        PROGRAM_OPS["gen"].attributes,
        PROGRAM_OPS["gen"].effect,
        PROGRAM_OPS["gen"].check,
    ),
    row(
        "score",
        "One request a choice: the log-probabilities of its tokens decide.",
        "prompt text* -> prompt text",
        PROGRAM_OPS["select"].attributes,
    ),
    row("release", "Nothing needs this prompt any more.", "prompt"),
)
"""Operations that say when."""

PLAN_OPS: Mapping[str, OpRow] = {each.name: each for each in (*PLAN_ROWS, *SHARED_ROWS)}
