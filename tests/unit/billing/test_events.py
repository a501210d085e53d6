"""Usage objects as anyone may have written them: read, or refused by key and place; never anything else."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.ledger.events import INFLATED_LIMIT, SMALL, TooLarge, counted_untrusted
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.tolerant import counted_slowly_untrusted, counted_tolerantly_untrusted
from unit.billing.bucket import PLANE, event, packed

VPC = (PLANE, "ec2.aws.upbound.io", "v1beta1", "VPC")
GOOD = packed(event(2.0), event(5.0), event(0.0, kind="Subnet"))
SUBNET = (*VPC[:3], "Subnet")
PLAIN = json.dumps([event()])


def raw(text):
    return text.encode() if isinstance(text, str) else text


@pytest.mark.parametrize("read", [counted_untrusted, counted_tolerantly_untrusted, counted_slowly_untrusted])
def test_all_readings_find_the_largest_value_of_each_kind_and_zero_is_data(read):
    assert read("key", GOOD) == {VPC: 5, SUBNET: 0}
    assert read("key", gzip.decompress(GOOD)) == {VPC: 5, SUBNET: 0}
    assert read("key", packed()) == {}


REFUSED = {
    "nothing": (b"", "expected a JSON array"),
    "a foreign file": (b"\x89PNG\r\n", "expected a JSON array"),
    "an object in place of the array": ("{}", "expected a JSON array of events, found an object"),
    "lines of JSON": (json.dumps(event()) + "\n" + json.dumps(event()), "expected a JSON array"),
    "cut in an event": (PLAIN[:40], "line 1 column"),
    "cut between two events": (PLAIN[:-1], "line 1 column"),
    "a second array": (PLAIN + PLAIN, "line 1 column"),
    "garbage after the end": (PLAIN + "x", "line 1 column"),
    "NaN": ("[NaN]", "line 1 column 2"),
    "a number beyond a double": (PLAIN.replace("3.0", "1e400"), "infinity"),
    "a number of ten thousand digits": (PLAIN.replace("3.0", "1" * 10_000), "infinity"),
    "nesting without end": ("[" * 100_000, "depth limit"),
    "nesting within the reader's depth": ("[" * 900 + "]" * 900, "event 1: expected an object, found an array"),
    "deep nesting in a field nobody reads": (
        PLAIN.replace('"kind": "absolute"', '"kind": ' + "[" * 1000 + "]" * 1000),
        "nested too deeply",
    ),
    "bytes that are no UTF-8": (PLAIN.encode().replace(b"VPC", b"V\xff"), "UTF-8"),
    "a lone surrogate": (PLAIN.replace("VPC", "\\ud800"), "surrogate"),
    "a byte order mark": (b"\xef\xbb\xbf" + PLAIN.encode(), "BOM"),
    "a field given twice": (PLAIN.replace('"value"', '"value": 9.0, "value"'), "'value' twice"),
    "a tag given twice": (PLAIN.replace('"mxp_id"', '"mxp_id": "x", "mxp_id"'), "'mxp_id' twice"),
    "a field given twice, once escaped": (PLAIN.replace('"value"', '"\\u0076alue": 9.0, "value"'), "'value' twice"),
    "gzip without its trailer": (GOOD[:-4], "gzip: expected a whole member"),
    "gzip cut in the middle": (GOOD[:30], "gzip: expected a whole member"),
    "gzip with a wrong sum": (GOOD[:-8] + bytes(4) + GOOD[-4:], "gzip: expected data that inflates"),
    "a second gzip member": (GOOD + GOOD, "gzip: expected one member"),
    "bytes after gzip": (GOOD + b"x", "gzip: expected one member, found 1 byte after it"),
    "nothing but gzip's magic": (b"\x1f\x8b", "gzip: expected a whole member"),
    "a bomb": (gzip.compress(bytes(INFLATED_LIMIT + 1)), f"at most {INFLATED_LIMIT} bytes inflated"),
    "a million empty objects": (gzip.compress(b"[" + b"{}," * SMALL + b"{}]"), "values in"),
    "null for an event": ("[null]", "event 1: expected an object, found null"),
    "a text for an event": ('["text"]', "event 1: expected an object, found a string"),
    "another event's name": (packed(event(), event(name="other")), "event 2: expected event name kube_managedresource"),
    "no name": (packed({"value": 1}), "event 1: expected event name kube_managedresource_uid, got None"),
    "tags that are none": (packed(event() | {"tags": []}), "event 1: tags: expected an object, found an array"),
    "an empty mxp_id": (packed(event(tags={"mxp_id": ""})), "event 1: tags.mxp_id: MXPID tag is empty"),
    "an empty group": (packed(event(tags={"customresource_group": ""})), "Group tag is empty"),
    "an empty version": (packed(event(tags={"customresource_version": None})), "Version tag is empty"),
    "an empty kind": (packed(event(tags={"customresource_kind": ""})), "Kind tag is empty"),
    "a number for a kind": (packed(event(tags={"customresource_kind": 3})), "expected a string, found a number"),
    "a text for a value": (packed(event("3")), "event 1: value: expected a number, found a string"),
    "true for a value": (packed(event(True)), "event 1: value: expected a number, found a boolean"),
    "no value": (packed({k: v for k, v in event().items() if k != "value"}), "value: expected a number, found null"),
    "a fraction": (packed(event(2.9)), "event 1: value: expected a whole number"),
    "less than nothing": (packed(event(-1)), "event 1: value: expected a whole number"),
    "more than a double counts": (packed(event(2**53 + 2)), "event 1: value: expected a whole number"),
    "a time that is none": (packed(event(timestamp="yesterday")), "event 1: timestamp: expected a time"),
    "an hour that is none": (packed(event(timestamp_end="2026-10-31T24:00:00Z")), "timestamp_end: expected a time"),
    "a field also in another case": (PLAIN.replace('"value"', '"Value": 9.0, "value"'), "found it as 'Value'"),
    "a number for the event's kind": (packed(event() | {"kind": 3}), "kind: expected a string"),
    "names in another case": (packed({k.upper(): v for k, v in event().items()}), "expected event name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_collector_wrote_is_refused_by_key_and_place(name):
    body, said = REFUSED[name]
    with pytest.raises(Malformed) as refused:
        counted_untrusted("some/key", raw(body))
    assert str(refused.value).startswith("some/key: ")
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


TOLERATED = {
    "cut between two events": (PLAIN[:-1], 3),
    "a second array": (PLAIN + json.dumps([event(9.0)]), 3),
    "garbage after the end": (PLAIN + "x", 3),
    "gzip without its trailer": (packed(event())[:-6], 3),
    "gzip with a wrong sum": (packed(event())[:-8] + bytes(8), 3),
    "a second gzip member": (packed(event()) + packed(event(9.0)), 3),
    "bytes after gzip": (packed(event()) + b"x", 3),
    "names in another case": (packed({k.upper(): v for k, v in event().items()}), 3),
    "names in letters that fold": (PLAIN.replace('"tags"', '"tag\u017f"').replace('"kind"', '"\u212aind"'), 3),
    "a fraction": (packed(event(2.9)), 2),
    "less than nothing": (packed(event(-1.5)), None),
    "more than an int64": (packed(event(1e300)), None),
    "the last of two fields": (PLAIN.replace('"value"', '"value": 9.0, "value"'), 3),
    "tags in two parts": (PLAIN.replace('"tags"', '"tags": {"mxp_id": "x"}, "tags"'), 3),
    "no time": (packed(event(timestamp=None)), 3),
    "fields nobody knows": (packed(event(more=[{"x": 1}])), 3),
    "deep nesting that nobody reads": (PLAIN.replace('"value"', '"x": ' + "[" * 200 + "]" * 200 + ', "value"'), 3),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_compat_passes_over_what_the_peer_passes_over(name):
    body, value = TOLERATED[name]
    found = counted_tolerantly_untrusted("some/key", raw(body))
    assert list(found) == [VPC] if value is not None else True
    assert [v for v in found.values() if v > 0] == ([] if value is None else [value])


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "a foreign file",
        "an object in place of the array",
        "lines of JSON",
        "cut in an event",
        "NaN",
        "a number beyond a double",
        "a number of ten thousand digits",
        "nesting without end",
        "gzip cut in the middle",
        "a bomb",
        "a million empty objects",
        "null for an event",
        "a text for an event",
        "another event's name",
        "no name",
        "tags that are none",
        "an empty mxp_id",
        "a number for a kind",
        "a text for a value",
        "true for a value",
        "a time that is none",
    ],
)
def test_compat_stops_where_the_peer_stops(name):
    with pytest.raises(Malformed, match=r"^some/key: "):
        counted_tolerantly_untrusted("some/key", raw(REFUSED[name][0]))


def test_compat_puts_gos_replacement_for_each_byte_and_surrogate_that_is_no_text():
    body = PLAIN.encode().replace(b"VPC", b"V\xe2\x82\\ud800")
    assert list(counted_tolerantly_untrusted("key", body)) == [(*VPC[:3], "V\ufffd\ufffd\ufffd")]


def test_more_than_was_to_be_read_at_once_is_told_apart():
    for read in (counted_untrusted, counted_tolerantly_untrusted):
        with pytest.raises(TooLarge):
            read("key", GOOD, limit=20)


def found_or_refused(read, body):
    """The counts, or the text of the named error; any other error is the test's failure."""
    try:
        return read("some/key", body)
    except Malformed as error:
        said = str(error)
    assert said.startswith("some/key: ")
    return said


ANYTHING = st.sampled_from([None, True, 0, -1, 2.5, 1e300, 10**30, "", "x", "\u2028", [], [[1]], {}, {"mxp_id": "y"}])
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("kube_managedresource_uid") | ANYTHING,
        "Name": ANYTHING,
        "tags": st.just(event()["tags"]) | ANYTHING,
        "value": st.sampled_from([0, 1.0, 7]) | ANYTHING,
        "timestamp": st.just("2026-10-31T12:00:00Z") | ANYTHING,
    },
)


@effort(60)
@given(
    st.lists(EVENTS | st.just(event()) | ANYTHING, max_size=3),
    st.binary(max_size=4),
    st.integers(0, 400),
    st.none() | st.integers(1, 400),
    st.booleans(),
)
def test_whatever_the_bytes_are_only_the_named_error_escapes(events, noise, at, cut, zipped):
    text = json.dumps(events).encode()
    text = text[:at] + noise + text[at:]
    body = (gzip.compress(text, mtime=0) if zipped else text)[:cut]
    strict, tolerant = found_or_refused(counted_untrusted, body), found_or_refused(counted_slowly_untrusted, body)
    assert found_or_refused(counted_tolerantly_untrusted, body) == tolerant
    # What the strict reading takes, the peer's reads alike.
    assert isinstance(strict, str) or strict == tolerant


@effort(100)
@given(st.binary(max_size=60), st.integers(0, len(GOOD)))
def test_gzip_that_was_tampered_with_is_refused_or_unchanged(noise, at):
    body = GOOD[:at] + noise + GOOD[at + len(noise) :]
    strict = found_or_refused(counted_untrusted, body)
    assert isinstance(strict, str) or strict == {VPC: 5, SUBNET: 0}
    found_or_refused(counted_tolerantly_untrusted, body)


@effort(60)
@given(st.lists(st.tuples(st.sampled_from(["VPC", 'a"b', "é", "\\u0000x", "<&>"]), st.integers(0, 2**53)), max_size=8))
def test_both_readings_agree_on_what_a_collector_writes(counts):
    body = zlib.compress(json.dumps([event(float(v), kind=k) for k, v in counts]).encode(), wbits=31)
    expected = {}
    for kind, value in counts:
        expected[kind] = max(expected.get(kind, 0), int(float(value)))
    assert {key[3]: value for key, value in counted_untrusted("key", body).items()} == expected
    assert counted_slowly_untrusted("key", body) == counted_untrusted("key", body)
