"""Numbers in sentences: one of a thing is not told as several."""

import re
from pathlib import Path

import pytest

import keyless
from keyless.api.words import counted

SOURCE = Path(keyless.__file__).parent
TOLD = ("api", "billing", "cli", "identity", "policy", "space")
"""Packages whose sentences are ours; the local cloud's are AWS's own."""
NOUNS = ("segments", "manifests", "objects", "rows", "kinds", "control planes", "roles", "subjects", "lines", "heads")
# A constant of ours, in capitals, is never 1.
_PLURAL = re.compile(rf"\{{(?![A-Z_]+\}})[^{{}}\n]+\}} (?:more )?(?:{'|'.join(NOUNS)})\b")


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments"), (1000, "1000 segments")]
)
def test_a_number_has_its_noun(number, said):
    assert counted(number, "segment") == said


def test_a_plural_of_its_own_is_given():
    assert [counted(n, "identity", "identities") for n in (1, 2)] == ["1 identity", "2 identities"]


def test_no_sentence_has_a_plural_after_a_number_that_may_be_one():
    assert _PLURAL.search('f"in {correction.segments} segments"')
    wrong = [
        f"{path.relative_to(SOURCE)}: {found[0]}"
        for package in TOLD
        for path in sorted((SOURCE / package).rglob("*.py"))
        for found in _PLURAL.finditer(path.read_text())
    ]
    assert wrong == []
