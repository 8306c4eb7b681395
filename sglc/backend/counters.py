"""What a run cost, in numbers that do not depend on the machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Counters:
    """Work done since creation. Positions are tokens of a prompt or of an output; times are seconds.

    `filled`: prompt positions computed for lack of cached KV. `relogit`: positions whose KV was there, computed
    again for their logits only. `refilled`: positions computed again after a preemption. `cached`: prompt
    positions taken from the cache. `decoded`: tokens sampled. `forced`: tokens a constraint left no choice about.
    `drafted`: positions computed for tokens that were only expected. `accepted`: those of them that were sampled and
    gone on from, each of which spares its sequence a forward pass.
    """

    requests: int = 0
    prompt: int = 0
    filled: int = 0
    relogit: int = 0
    refilled: int = 0
    cached: int = 0
    decoded: int = 0
    forced: int = 0
    drafted: int = 0
    accepted: int = 0
    forward_passes: int = 0
    sequence_steps: int = 0
    preemptions: int = 0
    evicted: int = 0
    tokenizer_calls: int = 0
    peak_kv: int = 0
    forward_time: float = 0.0
    mask_time: float = 0.0
    busy_time: float = 0.0

    def as_dict(self) -> dict[str, int | float]:
        """Return the counters as a flat JSON object."""
        return asdict(self)

    def add(self, other: Counters) -> None:
        """Add another's counts to these; the peak is the greater one."""
        for f in fields(self):
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            setattr(self, f.name, max(mine, theirs) if f.name == "peak_kv" else mine + theirs)

    def copy(self) -> Counters:
        """Return a snapshot."""
        return Counters(**asdict(self))
