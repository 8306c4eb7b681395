"""The options that say which model answers, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sglc.backend.engine import Engine
from sglc.backend.loading import DEFAULT_KV_TOKENS, load_tokenizer
from sglc.backend.longest import LongestModel
from sglc.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What `sglc.Engine` is made from; None leaves its default."""

    model: str | None = None
    tokenizer: str | None = None
    device: str = "cpu"
    dtype: str = "auto"
    kv_tokens: int | None = None
    chat_template: str | None = None

    def require_model(self) -> str:
        """Return the model's name. Raises InputError where there is none."""
        if not self.model:
            raise InputError("found no model; wanted --model FOLDER, OWNER/NAME or replay:hash, or SGLC_MODEL set")
        return self.model

    def settings(self) -> dict[str, str | None]:
        """Return what else than the model's own weights decides the results; a template file counts by its text."""
        template = self.chat_template
        if template is not None and Path(template).is_file():
            template = Path(template).read_text(encoding="utf-8")
        return {"dtype": self.dtype, "tokenizer": self.tokenizer, "chat_template": template}

    def open(self) -> Engine:
        """Load the model and return an engine on it; the caller closes it."""
        return Engine(
            self.require_model(),
            tokenizer=self.tokenizer,
            device=self.device,
            dtype=self.dtype,
            kv_tokens=self.kv_tokens,
            chat_template=self.chat_template,
        )

    def stand_in(self) -> Engine:
        """Return an engine with the model's tokenizer and length that computes nothing, for what is only foretold."""
        tokenizer, longest = load_tokenizer(self.require_model(), self.tokenizer, self.chat_template)
        model = LongestModel(tokenizer) if longest is None else LongestModel(tokenizer, max_length=longest)
        return Engine(model, tokenizer=tokenizer, kv_tokens=self.kv_tokens or DEFAULT_KV_TOKENS)
