"""An oracle for eviction with a known future: one request at a time, the leaf that is used last goes first.

Shares no code with sglc, and is as simple as can be.
"""

from __future__ import annotations

from collections.abc import Sequence

Prefix = tuple[int, ...]


def belady_fill(prompts: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], capacity: int) -> int:
    """Serve the requests in their order; return how many tokens of prompts had no KV.

    A request owns room for the rest of its prompt and for all of its output but the last token (whose KV is never
    computed) until it ends, even if the cache has the same output already. What goes is the prefix that no prompt to
    come begins with, or else the one whose next such prompt comes last; of those that are leaves, and not on the
    path of the request that is served. The future is the prompts, not what will be said.
    """
    cached: set[Prefix] = set()
    filled = 0
    for number, (prompt, output) in enumerate(zip(prompts, outputs, strict=True)):
        path = [tuple(prompt[: length + 1]) for length in range(len(prompt))]
        held = {prefix for prefix in path if prefix in cached}
        own = len(path) - len(held) + max(len(output) - 1, 0)
        filled += len(path) - len(held)
        if len(held) + own > capacity:
            raise ValueError(f"found a request of {len(held) + own} tokens; wanted at most {capacity}")
        next_uses = _next_uses(prompts[number + 1 :])
        while len(cached) + own > capacity:
            inner = {prefix[:-1] for prefix in cached}
            leaves = [prefix for prefix in cached - held if prefix not in inner]
            cached.remove(max(leaves, key=lambda prefix: next_uses.get(prefix, len(prompts))))
        whole = [*prompt, *output[:-1]]
        cached.update(tuple(whole[: length + 1]) for length in range(len(whole)))
    return filled


def _next_uses(prompts: Sequence[Sequence[int]]) -> dict[Prefix, int]:
    """Return for each prefix of these prompts which one of them is the first that begins with it."""
    found: dict[Prefix, int] = {}
    for number, prompt in enumerate(prompts):
        for length in range(1, len(prompt) + 1):
            found.setdefault(tuple(prompt[:length]), number)
    return found
