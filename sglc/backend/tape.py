"""What a model said in a run, and what host code returned: enough to run it again without either."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from sglc.backend.context_hashes import Hashes
from sglc.backend.encode_memo import EncodeMemo
from sglc.backend.host_call import CallOutcome
from sglc.backend.step import Draws, Edits, Floats, Ints


class Tape:
    """Draws and log-probabilities by the contexts they were asked for, and host calls by their rows.

    Contexts are told apart by a hash of their tokens, draws by their uniform, which belongs to one place of one sample
    of one row. A tape says nothing of batches, order, budget or cache: it foretells runs of the same rows with any of
    these, and with any passes. `slow` is how many host calls kept the engine from waiting for them.
    """

    def __init__(self) -> None:
        self.memo = EncodeMemo()  # what the tokenizer remembered when the recording began
        self.draws: dict[tuple[int, float], int] = {}
        self.greedy: dict[tuple[int, bytes], int] = {}  # by the edits: the same for all who ask
        self.logprobs: dict[tuple[int, int], float] = {}
        self.tops: dict[int, tuple[Ints, Floats]] = {}
        self.refused: dict[int, str] = {}
        self.calls: dict[tuple[int, int], CallOutcome] = {}
        self.slow = 0


def draw_keys(
    draws: Draws, contexts: Hashes, tokens: Ints
) -> Iterator[tuple[int, tuple[int, float], tuple[int, bytes] | None]]:
    """Yield for each draw that counts its place, its key, and the one that all greedy draws of the same share.

    `tokens` are what the draws give; that of a place is read after it was yielded. So a tape has no draw behind a wrong
    draft, and says the same of runs in which other drafts are made.
    """
    asked = zip(contexts[draws.rows].tolist(), draws.uniforms.tolist(), (draws.temperatures == 0).tolist(), strict=True)
    counts = True
    for place, (context, uniform, greedy) in enumerate(asked):
        if draws.drafts:
            drafted = draws.drafts.get(place)
            counts = drafted is None or (counts and tokens.item(place - 1) == drafted)
        if counts:
            edits = draws.edits.get(place)
            yield place, (context, uniform), (context, b"" if edits is None else _digest(edits)) if greedy else None


def _digest(edits: Edits) -> bytes:
    """Return what two changes to logits share only if they are the same."""
    digest = blake2b(digest_size=16)
    arrays = [edits.seen, *(edits.bias or ()), *(edits.counted or ())]
    if edits.allowed is not None:
        arrays.append(np.packbits(edits.allowed))
    for array in arrays:
        digest.update(b"-" if array is None else array.tobytes() + b"|")
    penalties = (edits.repetition_penalty, edits.frequency_penalty, edits.presence_penalty)
    digest.update(repr((tuple(edits.forbidden), penalties, edits.bias is None, edits.counted is None)).encode())
    return digest.digest()
