"""FOCUS 1.0 by what FinOps' validator said of the same bytes; FOCUS 1.3 by our table of its rules."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest

from conformance.focus.rules_1_3 import RULES, broken, misplaced
from conformance.focus.samples import samples
from keyless.billing.report.focus import COLUMNS, COLUMNS_1_3

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
RENAMED = "1.0 calls it so no longer: its own columns are InvoiceIssuerName, ProviderName, PublisherName, ResourceId"
WRONG = {
    "InvoiceIssuer_Required": RENAMED,
    "Provider_Required": RENAMED,
    "Publisher_Required": RENAMED,
    "ResourceID_Required": RENAMED,
    "SkuPriceId_Nullable": "it looks for ChargeType, which 1.0 calls ChargeCategory, and fails without it",
}
"""Rules of the validator's 1.0 that are of the preview: no file can meet both them and the specification."""


@pytest.fixture(scope="module")
def first():
    return samples("focus")


@pytest.fixture(scope="module")
def third():
    return samples("focus-1.3")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_validator_was_asked_about_these_very_bytes_and_found_nothing_but_its_own_mistakes(first):
    told = RECORDED["samples"]
    assert {name: answer["sha256"] for name, answer in told.items()} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in first.items()
    }, "what is printed has changed: `make oracle-focus` asks the validator anew"
    assert {name: set(answer["failed"]) - set(WRONG) for name, answer in told.items()} == {
        name: set() for name in first
    }


def test_every_row_holds_the_rules_of_1_3(third):
    for name, text in third.items():
        found = rows(text)
        assert found, name
        assert misplaced(list(found[0])) == []
        assert [broken(row) for row in found if broken(row)] == [], name


def test_the_rules_find_what_they_name(third):
    """Each rule is broken by some change of a row that is right: a table that finds nothing proves nothing."""
    good = rows(third["two currencies"])[0]
    values = ("", "0", "-1.5", "NaN", "x", "2026-10-01 00:00:00", "2027-01-01T00:00:00Z", "eur", good["ResourceId"])
    found = {one for name in good for value in values for one in broken({**good, name: value})}
    assert {f"{rule.section}: {rule.says}" for rule in RULES} - found == set()
    assert misplaced([*COLUMNS_1_3, "ListUnitPrice"]) == ["ListUnitPrice"]
    assert misplaced([*COLUMNS_1_3[1:], "my column"]) == [COLUMNS_1_3[0], "my column"]


def test_both_versions_say_the_same_of_every_row(first, third):
    both = set(COLUMNS) & set(COLUMNS_1_3)
    for name in first:
        assert [{key: row[key] for key in both} for row in rows(first[name])] == [
            {key: row[key] for key in both} for row in rows(third[name])
        ]


def test_a_spreadsheet_runs_nothing_of_what_a_team_is_called(first):
    cells = [cell for row in rows(first["odd names"]) for cell in row.values()]
    assert any("cmd" in cell for cell in cells)
    assert not [cell for cell in cells if cell[:1] in "=+@\t\r" and cell]
    assert {json.loads(row["Tags"]).get("team") for row in rows(first["odd names"])} >= {"007", 'équipe, "a"'}
