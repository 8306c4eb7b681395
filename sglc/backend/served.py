"""What a row has computed before it goes on in Python: served to the statements that ask for it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sglc.backend.decoding import Decoded
from sglc.backend.host_call import CallOutcome
from sglc.backend.scoring import Scored


@dataclass(frozen=True, slots=True)
class Served:
    """Generations and choices by their sites, host calls by how many came before them in their row."""

    generations: Mapping[str, Decoded] = field(default_factory=dict)
    choices: Mapping[str, Scored] = field(default_factory=dict)
    calls: Mapping[int, CallOutcome] = field(default_factory=dict)


NOTHING = Served()
"""What a row begins with."""
