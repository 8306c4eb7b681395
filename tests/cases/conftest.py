"""The models that every case runs on: the audited replay model and a small random Llama."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sglc
from sglc.backend.tokenizer import PACKAGED, Tokenizer
from sglc.ir.sampling import SamplingParams
from sglc.language.capture import Variant
from sglc.language.function import SglFunction
from tests.cases.models import Models
from tests.cases.recorder import RECORDER, case_of

MakeModels = Callable[..., Models]

KV_TOKENS = 4096
"""Room for any one case; small, because the audit after each step looks at all of it."""


@pytest.fixture(scope="session", autouse=True)
def recording() -> Iterator[None]:
    """Note how programs are captured, and write it down at the end if asked."""
    find = SglFunction.variant

    def noting(program: SglFunction, arguments: Mapping[str, Any], params: SamplingParams) -> Variant | None:
        variant = find(program, arguments, params)
        if variant is not None:
            RECORDER.note(program, variant.capture)
        return variant

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SglFunction, "variant", noting)
        yield
    RECORDER.write()


@pytest.fixture(scope="module", autouse=True)
def in_its_case(request: pytest.FixtureRequest) -> Iterator[None]:
    """Say which case runs."""
    RECORDER.case = case_of(request.node.nodeid)
    yield
    RECORDER.case = None


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama checkpoint for the packaged tokenizer; float64, so that no batch rounds a token away."""
    from tests.checkpoints import save_checkpoint

    tokenizer = Tokenizer.packaged()
    ids = {"bos_token_id": tokenizer.prefix[0], "eos_token_id": tokenizer.eos_id}
    return save_checkpoint("llama", tmp_path_factory.mktemp("llama"), vocab_size=tokenizer.vocab_size, **ids)


@pytest.fixture(scope="session", params=["replay", "llama"])
def make_models(request: pytest.FixtureRequest) -> MakeModels:
    """Make an engine and its reference, with options of `sglc.Engine`; `plant` concerns the replay model only."""
    if request.param == "replay":
        return partial(_models, "replay:hash", True)
    return partial(_models, request.getfixturevalue("llama"), False)


def _models(spec: str | Path, scripted: bool, *, plant: Sequence[str] = (), **options: Any) -> Models:
    own: dict[str, Any] = {"tokenizer": PACKAGED, "kv_tokens": KV_TOKENS, "plant": plant if scripted else ()}
    shared = own | options
    return Models(
        sglc.Engine(spec, check=True, **shared),
        sglc.Engine(spec, cache=False, max_running=1, **shared),
        scripted,
    )


@pytest.fixture(scope="session")
def shared_models(make_models: MakeModels) -> Iterator[Models]:
    """The models with all defaults: their cache is left warm by one case for the next."""
    models = make_models()
    yield models
    models.close()


@pytest.fixture
def models(shared_models: Models) -> Iterator[Models]:
    """The models with all defaults, and programs running on them unless told otherwise."""
    sglc.set_default_backend(shared_models.engine)
    yield shared_models
    sglc.set_default_backend(None)


@pytest.fixture
def models_with(make_models: MakeModels) -> Iterator[MakeModels]:
    """Make models for one test."""
    made: list[Models] = []

    def make(**options: Any) -> Models:
        made.append(make_models(**options))
        return made[-1]

    yield make
    for models in made:
        models.close()
