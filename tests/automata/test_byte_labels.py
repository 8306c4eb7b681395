"""How bytes read on the edges of drawings."""

from __future__ import annotations

import pytest

from sglc.automata.byte_labels import class_label, edge_label, run_label, shortened


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (b'"name": "', '"name": "'),
        ("é".encode(), "é"),
        (b"\xe3", "\\xe3"),
        ("日".encode() + b"\xe6\x9c", "日\\xe6\\x9c"),
        (b"\n\t\\[]", "\\n\\t\\\\\\[]"),
        (b"\x00\x7f", "\\x00\\x7f"),
        ("\u200b\U000e0001".encode(), "\\u200b\\U000e0001"),
        (b" a b ", "␣a b␣"),
        (b"  ", "␣␣"),
        (b"", ""),
    ],
)
def test_a_run_of_bytes(text: bytes, label: str) -> None:
    assert run_label(text) == label


def test_a_class_of_bytes() -> None:
    assert class_label([(0x30, 0x39)]) == "[0-9]"
    assert class_label([(0x45, 0x45), (0x65, 0x66)]) == "[Eef]"
    assert class_label([(0x09, 0x0A), (0x20, 0x20), (0x2D, 0x2D), (0x5B, 0x5E)]) == "[\\t\\n␣\\-\\[-\\^]"
    assert class_label([(0x80, 0xBF)]) == "[\\x80-\\xbf]"


def test_an_edge_is_a_class_and_then_a_run() -> None:
    assert edge_label([(0x30, 0x39)], b"-") == "[0-9]-"
    assert edge_label([(0xC3, 0xC3)], b"\xa9!") == "é!"
    assert edge_label([(0x5B, 0x5B)]) == "\\["


def test_a_long_label_loses_its_middle() -> None:
    assert shortened("0123456789", 10) == "0123456789"
    assert shortened("0123456789", 7) == "012…789"
