"""`sglc doctor` says what is there."""

from __future__ import annotations

import json

import pytest

from sglc.commands.doctor import doctor, examine


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGLC_MODEL", "some/folder")
    assert doctor(as_json=True) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings["SGLC_MODEL"] == "some/folder"
    assert findings["torch"].startswith("2.")
    assert findings["dtype to use"].startswith(("bfloat16", "float32"))
    assert doctor(as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == list(findings)


@pytest.mark.parametrize(
    ("flags", "processor", "dtype"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "AMX bf16, AVX-512 bf16", "bfloat16"),
        ({"avx512_bf16": True, "avx2": True}, "AVX-512 bf16, AVX2; no AMX bf16", "bfloat16"),
        ({"avx2": True}, "AVX2; no AMX bf16 and no AVX-512 bf16", "float32"),
    ],
)
def test_doctor_says_what_the_processor_lacks(
    flags: dict[str, bool], processor: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: flags)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    findings = examine()
    assert findings["processor"].endswith(f"cores, {processor}")
    assert findings["dtype to use"].startswith(dtype)
