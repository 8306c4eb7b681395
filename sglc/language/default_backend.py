"""The engine that programs run on when none is named."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from sglc.errors import InputError, caller_location

if TYPE_CHECKING:
    from sglc.backend.engine import Engine

_default: Engine | None = None
_lock = threading.Lock()


def set_default_backend(backend: Engine | None) -> None:
    """Let programs run on `backend` from now on, unless told otherwise."""
    global _default
    _default = backend


def default_backend() -> Engine:
    """Return the default engine; without one, load the model that SGLC_MODEL names. Raises InputError."""
    global _default
    with _lock:
        if _default is None:
            spec = os.environ.get("SGLC_MODEL")
            if not spec:
                wanted = "sglc.set_default_backend(sglc.Engine(FOLDER)), backend=, or SGLC_MODEL"
                raise InputError(f"found no backend to run on; wanted {wanted}", caller_location())
            from sglc.backend.engine import Engine

            _default = Engine(spec)
        return _default


def flush_cache(backend: Engine | None = None) -> bool:
    """Forget cached KV; return False if there is no engine."""
    engine = backend or _default
    return engine.flush_cache() if engine is not None else False


def get_server_info(backend: Engine | None = None) -> dict[str, object]:
    """Return what the engine is and what it has counted so far; {} if there is none."""
    engine = backend or _default
    if engine is None:
        return {}
    return {"model": engine.spec, "kv_tokens": engine.kv_tokens, "counters": engine.counters.as_dict()}
