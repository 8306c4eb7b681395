"""The engine: runs the generations of many programs in continuous batches, on a thread of its own."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from sglc.automata.vocabulary import Vocabulary
from sglc.backend.claim import Claim, Pin
from sglc.backend.counters import Counters
from sglc.backend.kv_pool import KvPool
from sglc.backend.loading import load
from sglc.backend.radix import RadixTree
from sglc.backend.request import Event, Request, Sink, TokenLogprob
from sglc.backend.scheduler import Scheduler, Work
from sglc.backend.sequence import Sequence
from sglc.backend.step_builder import build_step, draw_tokens, refusals, take_scores
from sglc.errors import EngineError

if TYPE_CHECKING:
    from sglc.backend.host_call import HostCalls
    from sglc.backend.inbox import Inbox
    from sglc.backend.observer import Observer
    from sglc.backend.step import Ints, Model
    from sglc.backend.tokenizer import Tokenizer

logger = logging.getLogger("sglc")

_IDLE_SECONDS = 0.5
"""An engine's thread ends after so long without work, and starts again with the next request."""


class Engine:
    """A model, its tokenizer and a radix KV cache.

    `spec` is a folder with a Hugging Face checkpoint, `owner/name[@rev]` on the Hub, `replay:hash` (a made-up
    model that costs nothing) or `replay:TRACE.jsonl` (recorded outputs); or a model itself. `kv_tokens` is the size of
    the KV pool in tokens; None takes 65,536 or what a third of the free memory holds. `cache=False` shares no KV
    between requests. With `drafts` what a constraint expects next is computed ahead and verified: the same tokens in
    fewer forward passes. `plant` (replay:hash only) are texts the made-up model likes to say. `check=True` audits the
    cache between any two steps. Raises InputError or Unsupported for what can't be loaded.
    """

    def __init__(
        self,
        spec: str | Path | Model,
        *,
        tokenizer: Tokenizer | str | Path | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        kv_tokens: int | None = None,
        chat_template: str | None = None,
        max_step_tokens: int = 2048,
        max_running: int = 256,
        cache: bool = True,
        drafts: bool = True,
        plant: Seq[str] = (),
        check: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        for name, value in (
            ("kv_tokens", kv_tokens),
            ("max_step_tokens", max_step_tokens),
            ("max_running", max_running),
        ):
            if value is not None and value < 1:
                raise EngineError(f"found {name} = {value}; wanted at least 1")
        self.spec = str(spec) if isinstance(spec, str | Path) else spec.fingerprint
        self.model: Model
        self.tokenizer: Tokenizer
        self.model, self.tokenizer, self.kv_tokens = load(
            str(spec) if isinstance(spec, Path) else spec,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            kv_tokens=kv_tokens,
            chat_template=chat_template,
            plant=plant,
            trust_remote_code=trust_remote_code,
        )
        self._has_more_tokens = self.tokenizer.vocab_size > self.model.vocab_size
        self.calls: HostCalls | None = None
        self.observer: Observer | None = None
        self.settings: Mapping[str, Any] = {
            "max_step_tokens": max_step_tokens,
            "max_running": max_running,
            "cache": cache,
            "drafts": drafts,
            "check": check,
        }
        self.counters = Counters()
        self._pool = KvPool(self.kv_tokens)
        self._tree = RadixTree(self._pool) if cache else None
        self._scheduler = Scheduler(self._pool, self._tree, self.counters, max_step_tokens, max_running)
        self._longest_drafted = self.model.max_length if drafts else None
        self._check = check
        self._end_ids = self.model.eos_ids | self.tokenizer.eos_ids
        self.unconditional: dict[tuple[int, ...], Seq[TokenLogprob]] = {}  # what `Unconditional` knows of it
        self._arrivals = itertools.count()
        self._inbox: list[Request] = []
        self._errands: list[Callable[[], None]] = []  # what else is to be done between two steps
        self._readers: WeakSet[Inbox] = WeakSet()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    # For programs

    def submit(self, requests: Seq[Request], dropped: Seq[Claim] = ()) -> None:
        """Queue requests, and drop claims that are not needed any more (those that requests go on from still are).

        Events arrive at each request's sink. Never blocks, never raises for a request.
        """
        with self._wake:
            if self._closed:
                raise EngineError("found a closed engine; wanted an open one")
            self._inbox.extend(requests)
            if dropped:
                self._errands.append(partial(self._scheduler.kept.drop, dropped))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sglc-engine", daemon=True)
                self._thread.start()
            self._wake.notify()

    def drop_claims(self, claims: Seq[Claim]) -> None:
        """Let KV go that a row does not go on from after all; from any thread."""
        self._between_steps(partial(self._scheduler.kept.drop, claims))

    def pin(self, prefixes: Seq[Ints]) -> Pin:
        """Keep the KV of prompts, given as tokens, from when it is computed until the pin is released."""
        kept = self._scheduler.kept
        pin = Pin(prefixes, lambda pin: self._between_steps(partial(kept.release, pin)))
        self._between_steps(partial(kept.pin, pin))
        return pin

    def wait_for(self, reader: Inbox) -> None:
        """Begin no step from now on before a prompt reader has acted on what came of the step before.

        So what a program asks next rides with the very next step, and the same programs run in the same steps again.
        """
        with self._wake:
            self._readers.add(reader)

    def twin(self, model: Model, tokenizer: Tokenizer) -> Engine:
        """Return an engine with the same settings on another model, and nothing in its cache."""
        return Engine(model, tokenizer=tokenizer, kv_tokens=self.kv_tokens, **self.settings)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens that constraints are compiled for, as many as the model has logits."""
        tokens = self.tokenizer.token_bytes[: self.model.vocab_size]
        return Vocabulary(tokens, width=self.model.vocab_size, encode=self.tokenizer.encode)

    def flush_cache(self) -> bool:
        """Forget all cached KV that no running request uses; return True."""
        if self._tree is not None:
            self._between_steps(self._tree.reset)
        return True

    def reset_counters(self) -> None:
        """Set the counters to zero."""
        self.counters.__init__()  # type: ignore[misc]  # the scheduler and others hold this very object
        self._pool.peak = self._pool.used

    def close(self) -> None:
        """Let running requests finish, take no new ones."""
        with self._wake:
            self._closed = True
            thread = self._thread
            self._wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def shutdown(self) -> None:
        """Close the engine, under the name that SGLang's runtime has for it."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self.spec!r}, kv_tokens={self.kv_tokens})"

    def _between_steps(self, errand: Callable[[], None]) -> None:
        """Do something to what the engine's thread owns: now if it does not run."""
        with self._wake:
            if self._thread is None:
                errand()
            else:
                self._errands.append(errand)
                self._wake.notify()

    # The engine's thread

    def _work(self) -> None:
        """Take requests and run steps until there has been nothing to do for a while."""
        while True:
            with self._wake:
                if not self._inbox and not self._scheduler.busy and not self._errands and not self._closed:
                    self._wake.wait(_IDLE_SECONDS)
                arrived, self._inbox = self._inbox, []
                errands, self._errands = self._errands, []
                if not arrived and not self._scheduler.busy and not errands:
                    self._thread = None
                    return
            started = perf_counter()
            for errand in errands:
                errand()
            self._accept(arrived)
            self._step()
            self.counters.busy_time += perf_counter() - started

    def _accept(self, requests: Seq[Request]) -> None:
        """Let requests wait for their turn; those that can never run hear so at once."""
        refused: list[tuple[Request, Event]] = []
        for request in requests:
            error = self._refusal(request)
            if error is not None:
                refused.append((request, error))
                continue
            order = (*request.priority, next(self._arrivals))
            end_ids = self._end_ids | request.end_ids if request.end_ids else self._end_ids
            try:
                sequence = Sequence(request, self.tokenizer, order, end_ids, self._longest_drafted)
            except Exception as defect:  # whatever is wrong with one request is not the others' concern
                refused.append((request, EngineError(f"{type(defect).__name__}: {defect}")))
                continue
            self.counters.requests += 1
            self.counters.prompt += len(request.tokens)
            self._scheduler.add(sequence)
        _deliver(refused)

    def _refusal(self, request: Request) -> EngineError | None:
        """Return why a request can never run, or None."""
        length, limit = len(request.tokens), self.model.max_length
        needed = length + min(1, request.params.max_new_tokens) - 1
        if not length:
            return EngineError("found an empty prompt and a tokenizer without a BOS token; wanted at least one token")
        if length + min(1, request.params.max_new_tokens) > limit:
            return EngineError(
                f"found a prompt of {length} tokens; wanted at most {limit}, the model's length, with one to spare"
            )
        if needed > self.kv_tokens:
            return EngineError(
                f"found a prompt of {length} tokens; wanted at most {self.kv_tokens}, the KV pool (kv_tokens)"
            )
        params, vocab_size = request.params, self.model.vocab_size
        if self._has_more_tokens and int(request.tokens.max()) >= vocab_size:
            return EngineError(
                f"found the token id {int(request.tokens.max())} in a prompt; wanted one of 0 .. {vocab_size - 1}: "
                f"the tokenizer has {self.tokenizer.vocab_size:,} tokens, the model fewer"
            )
        if params.stop_token_ids or params.logit_bias:
            for token_id in (*params.stop_token_ids, *(token_id for token_id, _ in params.logit_bias)):
                if not 0 <= token_id < vocab_size:
                    return EngineError(f"found the token id {token_id}; wanted one of 0 .. {vocab_size - 1}")
        if params.top_logprobs_num > vocab_size:
            return EngineError(f"found top_logprobs_num = {params.top_logprobs_num}; wanted at most {vocab_size}")
        return None

    def _step(self) -> None:
        """Run one forward pass and hand out what came of it."""
        events: list[tuple[Request, Event]] = []
        began = perf_counter()
        try:
            works = self._scheduler.plan()
            for sequence, error in self._scheduler.failed:
                events.append((sequence.request, error))
            self._scheduler.failed.clear()
            if works:
                events += self._run(works)
                if self.observer is not None:
                    self.observer.stepped(works, began, perf_counter())
            self.counters.peak_kv = max(self.counters.peak_kv, self._pool.peak)
            if self._check:
                self._scheduler.check()
        except Exception as error:  # a defect or a lost device: nobody may wait for ever
            logger.debug("step failed", exc_info=True)
            failure = error if isinstance(error, EngineError) else EngineError(f"{type(error).__name__}: {error}")
            failure.__cause__ = None if failure is error else error
            events += [(sequence.request, failure) for sequence in self._scheduler.fail_all()]
        _deliver(events)
        if events:
            with self._wake:
                readers = [*self._readers]
            for reader in readers:
                reader.wait_until_read()

    def _run(self, works: list[Work]) -> list[tuple[Request, Event]]:
        """Compute the works, draw what is due, and return what their callers should hear."""
        done = [work.sequence for work in works if work.end == work.start]
        works = [work for work in works if work.end > work.start]
        events: list[tuple[Request, Event]] = []
        if works:
            step, wanted = build_step(works, self.counters)
            started = perf_counter()
            logits = self.model.forward(step)
            self.counters.forward_time += perf_counter() - started
            self.counters.forward_passes += 1
            for work in works:
                work.sequence.ready = work.end
            failed = list(refusals(logits, wanted).values())
            take_scores(logits, wanted)
            over, stuck = draw_tokens(logits, wanted, self.model.vocab_size, self.counters)
            self._scheduler.settle()
            drawn = [sequence for sequence, *_ in wanted.drawing]
            done += over + self._finished_scoring(works, failed)
            done += self._at_model_limit(drawn, over)
            for sequence, error in failed + stuck:
                self._scheduler.finish(sequence)
                events.append((sequence.request, error))
            gone = {id(sequence) for sequence in done}
            for sequence in drawn:
                if sequence.request.streamed and id(sequence) not in gone:
                    delta = sequence.delta()
                    if delta is not None:
                        events.append((sequence.request, delta))
        for sequence in done:
            self._scheduler.finish(sequence, complete=True)
            events += [(sequence.request, event) for event in sequence.closing_events()]
        return events

    def _finished_scoring(self, works: list[Work], failed: list[tuple[Sequence, EngineError]]) -> list[Sequence]:
        """Return the sequences of this step that wanted no tokens and have all they wanted."""
        gone = {id(sequence) for sequence, _ in failed}
        return [
            work.sequence
            for work in works
            if not work.sequence.request.params.max_new_tokens
            and work.end == work.sequence.target
            and id(work.sequence) not in gone
        ]

    def _at_model_limit(self, drawn: list[Sequence], over: list[Sequence]) -> list[Sequence]:
        """Return the sequences that have no position left in the model."""
        limit = self.model.max_length
        if all(sequence.length < limit for sequence in drawn):
            return []
        gone = {id(sequence) for sequence in over}
        return [s for s in drawn if s.length >= limit and id(s) not in gone]


def _deliver(events: Seq[tuple[Request, Event]]) -> None:
    """Hand events to their sinks, one call per sink."""
    by_sink: dict[Sink, list[tuple[Request, Event]]] = defaultdict(list)
    for request, event in events:
        if not request.cancelled:
            by_sink[request.sink].append((request, event))
    for sink, batch in by_sink.items():
        sink(batch)
