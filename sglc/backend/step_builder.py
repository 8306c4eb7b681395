"""From planned work to one forward pass and back: flat arrays in, sampled tokens and log-probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import numpy as np

from sglc.backend.counters import Counters
from sglc.backend.random_stream import uniforms
from sglc.backend.request import TokenLogprob
from sglc.backend.scheduler import Work
from sglc.backend.sequence import Sequence
from sglc.backend.step import SCRATCH_SLOT, Draws, Edits, Floats, Ints, Logits, Step
from sglc.errors import EngineError


@dataclass(slots=True)
class Wanted:
    """What the logits of a step are for; rows count the step's `logit_rows`."""

    drawing: list[tuple[Sequence, int, int]]  # (sequence, row, rows): its next token, and those behind its draft
    scoring: list[tuple[Sequence, int, int]]  # (sequence, row, position): the log-probability of the token behind it
    reporting: list[tuple[Sequence, int]]  # sequences that only want to know the likeliest next tokens


def build_step(works: list[Work], counters: Counters) -> tuple[Step, Wanted]:
    """Lay the works end to end, count them, and list the logits that are wanted."""
    wanted = Wanted([], [], [])
    token_ids: list[Iterable[int]] = []
    slots: list[Iterable[int]] = []
    logit_rows: list[int] = []
    ends = [work.end for work in works]
    offset = 0
    for place, work in enumerate(works):
        sequence, start, end = work.sequence, work.start, work.end
        prompt_length = sequence.prompt_length
        if end - start == 1 and start >= prompt_length:  # a decode: nearly all of all works
            token_ids.append((sequence.output[start - prompt_length],))
            slots.append((sequence.slots.item(start) if start >= work.cached else SCRATCH_SLOT,))
        else:
            token_ids.append(sequence.token_run(start, end))
            run = sequence.slots[start:end].copy()
            run[: max(0, work.cached - start)] = SCRATCH_SLOT
            slots.append(run)
            _count(work, prompt_length, counters)
        _want(work, prompt_length, offset, logit_rows, wanted)
        offset += end - start
        draft = sequence.draft
        if draft:
            token_ids.append(draft)
            slots.append(sequence.slots[end : end + len(draft)])
            offset += len(draft)
            ends[place] += len(draft)
    counters.sequence_steps += len(works)
    contexts = np.array(ends, np.int64)
    lengths = contexts - np.array([w.start for w in works], np.int64)
    first = np.cumsum(lengths) - lengths
    positions = np.arange(offset, dtype=np.int64) + np.repeat(contexts - lengths - first, lengths)
    step = Step(
        token_ids=np.fromiter(chain.from_iterable(token_ids), np.int64, offset),
        positions=positions,
        slots=np.fromiter(chain.from_iterable(slots), np.int64, offset),
        lengths=lengths,
        context_lengths=contexts,
        tables=[w.sequence.slots[:end] for w, end in zip(works, ends, strict=True)],
        logit_rows=np.array(logit_rows, np.int64),
        rows=np.array([w.sequence.order[-1] for w in works], np.int64),
    )
    return step, wanted


def _count(work: Work, prompt_length: int, counters: Counters) -> None:
    sequence, start, end, cached = work.sequence, work.start, work.end, work.cached
    fresh = max(start, cached)
    relogit = max(0, min(cached, end) - start)
    refilled = max(0, min(end, sequence.high_water) - fresh)
    filled = max(0, min(end, prompt_length) - max(fresh, sequence.high_water))
    sequence.relogit += relogit
    sequence.refilled += refilled
    sequence.filled += filled
    counters.relogit += relogit
    counters.refilled += refilled
    counters.filled += filled


def _want(work: Work, prompt_length: int, offset: int, logit_rows: list[int], wanted: Wanted) -> None:
    """Append the rows whose logits this work is asked for."""
    sequence, start, end = work.sequence, work.start, work.end
    if sequence.request.score_from is not None:
        for position in range(max(start, sequence.scored), min(end, prompt_length - 1)):
            wanted.scoring.append((sequence, len(logit_rows), position))
            logit_rows.append(offset + position - start)
    if end == sequence.length and sequence.wants_next:
        last = offset + end - 1 - start
        if not sequence.request.params.max_new_tokens:
            wanted.reporting.append((sequence, len(logit_rows)))
            logit_rows.append(last)
            return
        drafted = len(sequence.draft)
        wanted.drawing.append((sequence, len(logit_rows), 1 + drafted))
        logit_rows.append(last)
        if drafted:
            logit_rows.extend(range(last + 1, last + 1 + drafted))


def take_scores(logits: Logits, wanted: Wanted) -> None:
    """Give each sequence the log-probabilities of its prompt, and of what may come next, that it asked for."""
    if not wanted.scoring and not wanted.reporting:
        return
    rows = [row for _, row, _ in wanted.scoring] + [row for _, row in wanted.reporting]
    tokens = [int(s.request.tokens[position + 1]) for s, _, position in wanted.scoring]
    tokens += [0] * len(wanted.reporting)
    asked = [s for s, *_ in wanted.scoring] + [s for s, _ in wanted.reporting]
    families = _families(wanted)
    for _, row, _, siblings in families:
        rows += [row] * len(siblings)
        tokens += siblings
    top = max(s.request.params.top_logprobs_num for s in asked)
    found = logits.logprobs(np.array(rows, np.int64), np.array(tokens, np.int64), top)
    for i, sequence in enumerate(asked):
        best = _top_of(sequence, found.top_ids[i], found.top_logprobs[i])
        if i < len(wanted.scoring):
            sequence.input_logprobs.append(_entry(sequence, float(found.chosen[i]), tokens[i]))
            if sequence.request.params.top_logprobs_num:
                sequence.input_top.append(best)
            sequence.scored = wanted.scoring[i][2] + 1
        else:
            sequence.output_top.append(best)
    start = len(asked)
    for sequence, _, place, siblings in families:
        end = start + len(siblings)
        sequence.sibling_logprobs[place] = found.chosen[start:end].tolist()
        start = end


def _families(wanted: Wanted) -> list[tuple[Sequence, int, int, Seq[int]]]:
    """Return (sequence, row, place, tokens) where more than the log-probability of the prompt's own token is wanted."""
    return [
        (s, row, position + 1, s.request.siblings[position + 1])
        for s, row, position in wanted.scoring
        if s.request.siblings is not None and position + 1 in s.request.siblings
    ]


def draw_tokens(
    logits: Logits, wanted: Wanted, vocab_size: int, counters: Counters
) -> tuple[list[Sequence], list[tuple[Sequence, EngineError]]]:
    """Draw a token for each sequence that is due, and go on as long as tokens are as drafted.

    Returns the sequences that are over, and those that can't go on.
    """
    edits, failed = _edits(wanted, counters)
    if not wanted.drawing:
        return [], failed
    draws = _draws(wanted.drawing, edits, vocab_size)
    tokens = logits.draw(draws)
    taken, over = _take(wanted.drawing, draws, tokens.tolist())
    counters.decoded += len(taken)
    if edits:
        counters.forced += sum(_leaves_one(edits[place]) for _, place in taken if place in edits)
    _record_logprobs(logits, taken, draws.rows, tokens)
    return over, failed


def _edits(wanted: Wanted, counters: Counters) -> tuple[dict[int, Edits], list[tuple[Sequence, EngineError]]]:
    """Return the edits by draw, and drop from `wanted` what constraints have no way on for."""
    if not [s for s, _, _ in wanted.drawing if s.edited]:
        return {}, []
    started = perf_counter()
    edits: dict[int, Edits] = {}
    failed: list[tuple[Sequence, EngineError]] = []
    drawing: list[tuple[Sequence, int, int]] = []
    place = 0
    for sequence, row, rows in wanted.drawing:
        if sequence.edited:
            try:
                own = sequence.edits()
            except EngineError as error:
                failed.append((sequence, error))
                continue
            rows = min(rows, len(own))  # where the model refuses to go on, there is more
            edits.update(enumerate(own[:rows], place))
        drawing.append((sequence, row, rows))
        place += rows
    wanted.drawing = drawing
    counters.mask_time += perf_counter() - started
    return edits, failed


def _leaves_one(edits: Edits) -> bool:
    """Whether a constraint allows one token only."""
    return edits.allowed is not None and int(np.count_nonzero(edits.allowed)) == 1


def _draws(drawing: list[tuple[Sequence, int, int]], edits: dict[int, Edits], vocab_size: int) -> Draws:
    params = [s.request.params for s, _, _ in drawing]
    keys = np.array([s.request.stream_key for s, _, _ in drawing], np.uint64)
    positions = np.array([len(s.output) for s, _, _ in drawing], np.uint64)
    rows = np.array([row for _, row, _ in drawing], np.int64)
    temperatures = np.array([0.0 if p.greedy else p.temperature for p in params])
    top_ks = np.array([p.top_k or vocab_size for p in params], np.int64)
    top_ps = np.array([p.top_p for p in params], np.float64)
    min_ps = np.array([p.min_p for p in params], np.float64)
    drafts: dict[int, int] = {}
    if [count for _, _, count in drawing if count > 1]:
        counts = np.array([count for _, _, count in drawing], np.int64)
        firsts = np.cumsum(counts) - counts
        for (sequence, _, count), first in zip(drawing, firsts.tolist(), strict=True):
            drafts.update(enumerate(sequence.draft[: count - 1], first + 1))
        ahead = np.arange(counts.sum()) - np.repeat(firsts, counts)
        keys, temperatures, top_ks, top_ps, min_ps = (
            np.repeat(column, counts) for column in (keys, temperatures, top_ks, top_ps, min_ps)
        )
        rows = np.repeat(rows, counts) + ahead
        positions = np.repeat(positions, counts) + ahead.astype(np.uint64)
    return Draws(rows, temperatures, uniforms(keys, positions), top_ks, top_ps, min_ps, edits, drafts)


def _take(
    drawing: list[tuple[Sequence, int, int]], draws: Draws, tokens: list[int]
) -> tuple[list[tuple[Sequence, int]], list[Sequence]]:
    """Give sequences the tokens of the draws that count; return (sequence, draw) of each, and who is over."""
    if not draws.drafts:  # nearly every step of every run
        sequences = [s for s, _, _ in drawing]
        over = [s for s, token_id in zip(sequences, tokens, strict=True) if s.append(token_id)]
        return [*zip(sequences, range(len(sequences)), strict=True)], over
    taken: list[tuple[Sequence, int]] = []
    over = []
    place = 0
    for sequence, _, count in drawing:
        for draw in range(place, place + count):
            if draw > place and tokens[draw - 1] != draws.drafts[draw]:
                break
            taken.append((sequence, draw))
            if sequence.append(tokens[draw]):
                over.append(sequence)
                break
        place += count
    return taken, over


def _record_logprobs(logits: Logits, taken: list[tuple[Sequence, int]], draw_rows: Ints, tokens: Ints) -> None:
    asked = [(s, draw) for s, draw in taken if s.request.params.return_logprob]
    if not asked:
        return
    draws = np.array([draw for _, draw in asked], np.int64)
    top = max(s.request.params.top_logprobs_num for s, _ in asked)
    found = logits.logprobs(draw_rows[draws], tokens[draws], top)
    for j, (sequence, draw) in enumerate(asked):
        sequence.output_logprobs.append(_entry(sequence, float(found.chosen[j]), int(tokens[draw])))
        if sequence.request.params.top_logprobs_num:
            sequence.output_top.append(_top_of(sequence, found.top_ids[j], found.top_logprobs[j]))


def _top_of(sequence: Sequence, ids: Ints, logprobs: Floats) -> list[TokenLogprob]:
    count = sequence.request.params.top_logprobs_num
    pairs = zip(logprobs[:count].tolist(), ids[:count].tolist(), strict=True)
    return [_entry(sequence, logprob, token_id) for logprob, token_id in pairs]


def _entry(sequence: Sequence, logprob: float, token_id: int) -> TokenLogprob:
    return TokenLogprob(logprob, token_id, sequence.token_text(token_id))


def refusals(logits: Logits, wanted: Wanted) -> dict[int, tuple[Sequence, EngineError]]:
    """Return the sequences (by id) that the model could not answer, and drop them from what is wanted."""
    refused = logits.refused
    if not refused:
        return {}
    rows = [(s, row) for s, row, _ in wanted.drawing] + [(s, row) for s, row, _ in wanted.scoring] + wanted.reporting
    gone = {id(s): (s, EngineError(str(refused[row]))) for s, row in rows if row in refused}
    wanted.drawing = [(s, row, _answered(row, rows, refused)) for s, row, rows in wanted.drawing if id(s) not in gone]
    wanted.scoring = [triple for triple in wanted.scoring if id(triple[0]) not in gone]
    wanted.reporting = [pair for pair in wanted.reporting if id(pair[0]) not in gone]
    return gone


def _answered(row: int, rows: int, refused: Mapping[int, Exception]) -> int:
    """Return how many of a sequence's rows come before any that the model refuses: a draft may be what it can't say."""
    return next((count for count in range(1, rows) if row + count in refused), rows)
