"""`sglc doctor` says what is there."""

from __future__ import annotations

import json

import pytest

from sglc.commands.doctor import doctor


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
