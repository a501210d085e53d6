"""What External Secrets makes of payloads, properties, YAML and keys, answered by Go's own libraries and replayed."""

import pytest

from conformance.go_oracle.values_answers import DIFFERENCES, RECORDED, case_of, key_of, lines, our_answer, same

RECORDS = lines(RECORDED)
LISTED = {key_of(line): line for line in lines(DIFFERENCES)}


def test_there_are_cases_enough_of_each_kind():
    counts = {}
    for record in RECORDS:
        counts[record["ask"]] = counts.get(record["ask"], 0) + 1
    assert len(RECORDS) >= 1500
    assert all(count >= 10 for count in counts.values()), counts
    assert set(counts) == {
        *("property", "extract", "decode", "regexp", "tags", "yaml.load", "yaml.keysAndValues", "yaml.dump"),
    }


@pytest.mark.parametrize("ask", sorted({record["ask"] for record in RECORDS}))
def test_the_answer_is_gos_or_the_difference_is_listed(ask):
    unlisted = [
        {**case_of(record), "go": record["go"], "ours": ours}
        for record in RECORDS
        if record["ask"] == ask
        and key_of(record) not in LISTED
        and not same(ours := our_answer(case_of(record)), record["go"])
    ]
    assert not unlisted, f"{len(unlisted)} differences are not listed, the first: {unlisted[0]}"


@pytest.mark.parametrize("key", LISTED)
def test_a_listed_difference_still_differs_as_it_is_listed(key):
    listed = LISTED[key]
    recorded = next(record for record in RECORDS if key_of(record) == key)
    assert len(listed["reason"]) > 20
    assert same(our_answer(case_of(recorded)), listed["ours"])
    assert not same(listed["ours"], recorded["go"])
