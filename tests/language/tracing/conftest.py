"""What tests of capturing share: a model in two engines, and programs run both ways."""

from collections.abc import Iterator
from typing import Any

import pytest

import sglc
from sglc.backend.tokenizer import PACKAGED
from tests.cases.models import Models

PLANTS = ("yes", "no", " 7", "stop")


@pytest.fixture(scope="session")
def models() -> Iterator[Models]:
    """The replay model, which likes to say a few words that programs ask for."""
    yield from made_models(plant=PLANTS)


@pytest.fixture
def models_of_chat() -> Iterator[Models]:
    """The same with chat turns."""
    yield from made_models(chat_template="chatml")


def made_models(**options: Any) -> Iterator[Models]:
    """Yield models with these options of `sglc.Engine`."""
    options |= {"tokenizer": PACKAGED, "kv_tokens": 4096}
    made = Models(
        sglc.Engine("replay:hash", check=True, **options),
        sglc.Engine("replay:hash", cache=False, max_running=1, **options),
        scripted=True,
    )
    yield made
    made.close()
