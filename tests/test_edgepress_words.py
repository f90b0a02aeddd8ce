"""Words of a running text: where they begin and end."""

import unicodedata

import pytest

from edgepress.core.words import word_spans

WORDS = {
    "what stands between letters": ("it's the U.S. today", ["it's", "the", "U.S", ".", "today"]),
    "accents of their own": (unicodedata.normalize("NFD", "José, Łódź."), ["José", ",", "Łódź", "."]),
    "vowel signs at the end": ("नमस्ते दिल्ली", ["नमस्ते", "दिल्ली"]),
    "a sign with a variant": ("ok \u2764\ufe0f", ["ok", "\u2764\ufe0f"]),
    "ideographs": ("東京か\u3099", ["東", "京", "か\u3099"]),
    "from right to left": ("מרים לוי, تهران", ["מרים", "לוי", ",", "تهران"]),
    "blank": (" \n", []),
}


@pytest.mark.parametrize("case", WORDS)
def test_marks_belong_to_what_they_stand_on(case: str) -> None:
    text, words = WORDS[case]
    found = [text[begin:end] for begin, end in word_spans(text)]
    assert found == [unicodedata.normalize("NFD", own) if "accents" in case else own for own in words]
