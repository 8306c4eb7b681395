"""Token masks alone: what a language takes to compile for a vocabulary, and a token to take over with the row after it.

Vocabularies are cl100k and qwen (figures of the second begin with `qwen_`); languages four patterns, a nested schema
and schemas met in the wild. Everybody takes over the same tokens: members as the tokenizer writes them.

- `vocabulary_ms`: what is prepared once a vocabulary.
- `compile_ms_NAME`: from the pattern to the whole table, the vocabulary set up before; `…_PEER`, what a peer takes for
  the same. `ratio_NAME_outlines`: our time over that of outlines-core in the same run.
- `p50_us`, `p99_us`, `max_us`: a token and a copy of the next row, over all languages that our tables serve.
  `patterns_…`: over the patterns and the nested schema alone, which peers serve too (`patterns_…_PEER`).
  `matcher_…`: over the schemas that llguidance serves behind our interface.
- `table_kib_median`: bytes of transitions and classes, over the schemas that our tables serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns

import numpy as np

from benchmarks import data
from benchmarks.peers.mask_engines import MASK_RECIPES, MaskColumn
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.workloads.constraints import NESTED_SCHEMA, PATTERNS, members, schemas
from sglc.automata.automaton import compile_regex
from sglc.automata.json_schema import compile_json_schema
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.errors import SglcError

Walks = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Shape:
    """How many members of a language are walked, how often, and how many schemas our tables are to serve.

    `rounds` are of one turn, `runs` are turns.
    """

    members: int = 30
    rounds: int = 5
    runs: int = 3
    schemas: int = 200
    matched_schemas: int = 40
    vocabularies: int = 2


QUICK = Shape(members=3, rounds=1, runs=1, schemas=4, matched_schemas=2, vocabularies=1)


@dataclass(frozen=True, slots=True)
class Language:
    """A language by name, what it is written in ("regex" or "json_schema"), its text, and some members."""

    name: str
    kind: str
    text: str
    members: Sequence[str]


@dataclass(slots=True)
class Side:
    """Who compiles and walks, and the milliseconds and nanoseconds of each language."""

    compile: Callable[[str, str], float | None]
    walk: Callable[[str, Walks, int], list[int] | None]
    compiled: dict[str, list[float]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)

    def take_turn(self, language: Language, walks: Walks, rounds: int) -> None:
        """Measure once; note nothing of a language that is refused."""
        milliseconds = self.compile(language.kind, language.text)
        if milliseconds is not None:
            self.compiled.setdefault(language.name, []).append(milliseconds)
            self.steps += self.walk(language.text, walks, rounds) or []


class Tables:
    """Our own side."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.tables: dict[str, TokenTable] = {}

    def compile(self, kind: str, text: str) -> float:
        """Return the milliseconds that a table takes, nothing remembered. Raises SglcError."""
        started = perf_counter()
        compiled = compile_regex.__wrapped__(text) if kind == "regex" else compile_json_schema(json.loads(text))
        self.tables[text] = TokenTable(compiled, self._vocabulary)
        return 1000 * (perf_counter() - started)

    def walk(self, text: str, walks: Walks, rounds: int) -> list[int]:
        """Return the nanoseconds of each token, of all rounds but one before them."""
        self.once(text, walks)
        return [step for _ in range(rounds) for step in self.once(text, walks)]

    def once(self, text: str, walks: Walks) -> list[int]:
        """Return the nanoseconds of each token with a copy of the row after it. Raises ValueError for one refused."""
        table, steps = self.tables[text], []
        row = np.empty_like(table.allowed(table.start))
        for tokens in walks:
            state = table.start
            for token in tokens:
                started = perf_counter_ns()
                state = table.next(state, token)
                row[:] = table.allowed(state)
                steps.append(perf_counter_ns() - started)
        return steps


def run(options: Options) -> Result:
    """Compare on each vocabulary."""
    shape = QUICK if options.quick else Shape()
    figures: Figures = {}
    notes = {"data": data.source(), "threads": "1"}
    for prefix, tokenizer, file in vocabularies()[: shape.vocabularies]:
        found, told = compare(tokenizer, file, shape, options)
        figures |= {prefix + name: value for name, value in found.items()}
        notes |= {prefix + name: value for name, value in told.items()}
    return Result(figures, notes)


def vocabularies() -> list[tuple[str, Tokenizer, Path]]:
    """Return the vocabularies: what their figures begin with, the tokenizer and its file."""
    if data.folder() is None:
        return [("", Tokenizer.packaged(), PACKAGED / "tokenizer.json")]
    from tests.tokenizers import json_file, load

    return [(prefix, load(name), json_file(name)) for prefix, name in (("", "cl100k_base"), ("qwen_", "qwen"))]


def languages(shape: Shape) -> list[Language]:
    """Return the languages that everybody is asked."""
    found = [Language(name, "regex", pattern, members(name, shape.members)) for name, pattern in PATTERNS.items()]
    return [*found, Language("nested", "json_schema", json.dumps(NESTED_SCHEMA), members("nested", shape.members))]


def compare(tokenizer: Tokenizer, file: Path, shape: Shape, options: Options) -> tuple[Figures, dict[str, str]]:
    """Return the figures of one vocabulary, all sides in turns, and notes on the peers."""
    eos_id = tokenizer.eos_id or 0
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    started = perf_counter()
    vocabulary.prepare()
    figures: Figures = {"vocabulary_ms": 1000 * (perf_counter() - started), "tokens": len(vocabulary)}
    own = Tables(vocabulary)
    ours = Side(own.compile, own.walk)
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(MaskColumn(name, vocabulary.tokens, eos_id, file, install=options.install_peers))
            for name in MASK_RECIPES
        }
        sides = {"": ours} | {f"_{name}": Side(peer.compile, peer.walk) for name, peer in peers.items()}
        for number in range(options.runs or shape.runs):
            say(f"run {number + 1} of {options.runs or shape.runs}")
            for language in languages(shape):
                walks = [tokenizer.encode(text) for text in language.members]
                for side in sides.values():
                    side.take_turn(language, walks, shape.rounds)
    for name, side in sides.items():
        figures |= {f"compile_ms_{language}{name}": median(times) for language, times in side.compiled.items()}
        figures |= percentiles(f"patterns_{{}}{name}", side.steps)
    for compiled, times in sides["_outlines"].compiled.items():
        figures[f"ratio_{compiled}_outlines"] = median(ours.compiled[compiled]) / median(times)
    figures |= of_the_wild(own, tokenizer, shape, ours.steps)
    return figures, {f"peer_{name}": peer.note for name, peer in peers.items()}


def of_the_wild(own: Tables, tokenizer: Tokenizer, shape: Shape, steps: Sequence[int]) -> Figures:
    """Return the figures of schemas met in the wild, and those over all tables; `steps` are of the patterns."""
    steps, matched, others = list(steps), list[int](), 0
    compiled, sizes = list[float](), list[float]()
    for schema, texts in schemas():
        if len(sizes) >= shape.schemas:
            break
        text = json.dumps(schema)
        try:
            milliseconds = own.compile("json_schema", text)
        except SglcError:
            continue
        table = own.tables.pop(text)
        walks = [tokens for tokens in map(tokenizer.encode, texts) if accepts(table, tokens)]
        own.tables[text] = table
        if table.whole is not None:
            compiled.append(milliseconds)
            sizes.append(table.nbytes / 1024)
            steps += own.walk(text, walks, shape.rounds)
        elif others < shape.matched_schemas and walks:
            others += 1
            matched += own.walk(text, walks, 1)
        del own.tables[text]
    figures = percentiles("{}", steps) | percentiles("matcher_{}", matched)
    figures |= {"table_schemas": len(sizes), "matcher_schemas": others, "calls": len(steps)}
    if sizes:
        figures |= {"table_kib_median": median(sizes), "schema_compile_ms_median": median(compiled)}
    return figures


def accepts(table: TokenTable, tokens: Sequence[int]) -> bool:
    """Whether tokens lead to a member."""
    state = table.start
    for token in tokens:
        after = table.next(state, token)
        if after is None:
            return False
        state = after
    return table.is_final(state)


def percentiles(name: str, steps: Sequence[int]) -> Figures:
    """Return p50, p99 and the greatest of some nanoseconds, in microseconds; nothing of none."""
    if not steps:
        return {}
    p50, p99 = np.percentile(steps, [50, 99]) / 1000
    return {
        name.format("p50_us"): float(p50),
        name.format("p99_us"): float(p99),
        name.format("max_us"): max(steps) / 1000,
    }
