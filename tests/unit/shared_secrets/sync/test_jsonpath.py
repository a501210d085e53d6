import pytest

from keyless.shared_secrets.sync.gjson import PathFault
from keyless.shared_secrets.sync.jsonpath import MAX_PATH, MAX_PAYLOAD, Malformed, lookup, object_members

PAYLOAD = """{"a.b": "literal", "a": {"b": "path", "n": 1.50, "i": 12345678901234567890, "e": 1e3, "x": null, "t": true,
 "o": { "k" : "v" }, "l": [1, {"p": "q"}, "z"]}, "q": [{"p": "x"}, {"p": "q", "v": "w"}], "uni": "\\u00e9\\n"}"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", "literal"),
        ("a.n", "1.5"),
        ("a.i", "12345678901234567890"),
        ("a.e", "1000"),
        ("a.x", ""),
        ("a.t", "true"),
        ("a.o", '{ "k" : "v" }'),
        ("a.o.k", "v"),
        ("a.l.0", "1"),
        ("a.l.1.p", "q"),
        ("a.l.#", "3"),
        ("a.l.#.p", '["q"]'),
        ("a.l.9", None),
        ("a.absent", None),
        ("a.b.c", None),
        ("uni", "é\n"),
        ("u*", "é\n"),
        ("a\\.b", "literal"),
        ('q.#(p=="q").v', "w"),
        ("a|{n,o}", '{"n":1.50,"o":{ "k" : "v" }}'),
        ("[a|o,uni]", '[{ "k" : "v" },"\\u00e9\\n"]'),
        ("a|o|@this", '{ "k" : "v" }'),
        ("a|o|@values", '["v"]'),
        # A path with dots is a name first; of a name that is not there these make an empty list or object, as there.
        ("a.o|@values", "[]"),
        ("{a.n,a.o}", "{}"),
        ("a.l[1]", None),
        ("a.l.#(p==", "1"),
    ],
)
def test_a_property_is_what_external_secrets_would_find(path, expected):
    assert lookup(PAYLOAD.encode(), path) == (None if expected is None else expected.encode())


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b'{"k": "v",}', b"v"),
        (b'{"k": "-----BEGIN\nline\n-----END\n"}', b"-----BEGIN\nline\n-----END\n"),
        (b'// note\n{"k": "v" /* and more */}', b"v"),
        (b'\xef\xbb\xbf{"k": "v"}', b"v"),
        (b'{"k": "v"} and text', b"v"),
        (b'{"k": "first", "k": "last"}', b"first"),
        (b'{"k": "\xff\xfe"}', b"\xff\xfe"),
        (b'{"k": "\\ud800x"}', b"\xef\xbf\xbdx"),
        (b'{"k": "\\udc00\\ud83d\\ude00"}', b"\xef\xbf\xbd\xf0\x9f\x98\x80"),
        (b'{"k": 123456789012345678901234567890}', b"123456789012345678901234567890"),
        (b'{"k": -0.0, "l": 1}', b"-0"),
        (b'{"k": 1e400}', b"+Inf"),
        (b'{"k": "a\nb\\tc"}', b"a\nb\tc"),
        (b'{"k": "a\\qb"}', b"a\\qb"),
    ],
)
def test_a_payload_that_is_no_strict_json_has_its_properties_all_the_same(payload, found):
    assert lookup(payload, "k") == found


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        (b"", "line 1, column 1 (byte 0): expected a value"),
        (b"plain", "line 1, column 1 (byte 0): expected a value"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6 (byte 14): expected ':' after a name"),
        (b'{"a": "x\ny"}', "line 1, column 9 (byte 8): expected a string that ends in quotes"),
        (b'{"a": 1}x', "line 1, column 9 (byte 8): expected nothing after the value"),
        (b'{"a": [1,]}', "line 1, column 10 (byte 9): expected a value"),
        (b'{"a": [1}', "line 1, column 9 (byte 8): expected ',' or ']'"),
        (b"[" * 30_000, "expected at most 10000 levels"),
    ],
)
def test_what_is_not_found_in_a_broken_payload_is_the_payloads_fault(payload, where):
    with pytest.raises(Malformed) as caught:
        lookup(payload, "k") if payload[:5] != b"[[[[[" else object_members(payload)
    assert where in str(caught.value)


def test_where_a_payload_breaks_is_said_without_a_word_of_it():
    with pytest.raises(Malformed) as caught:
        lookup(b'{"pl4nted": pl4nted, "pl4nted', "k")
    assert "pl4nted" not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"a": 1, "a": 2.50}', {"a": b"2.50"}),
        (b' {"s": "x\\ud800", "n": null, "o": { "k" : [1 ] } , "b":true}\n', None),
        (b'{"\\u0061": 1, "b": "\xff"}', {"a": b"1", "b": b"\xef\xbf\xbd"}),
        (b"{}", {}),
    ],
)
def test_members_are_strict_json_and_the_last_of_a_name_counts(payload, expected):
    if expected is None:
        expected = {"s": "x\ufffd".encode(), "n": b"", "o": b'{ "k" : [1 ] }', "b": b"true"}
    assert object_members(payload) == expected


@pytest.mark.parametrize("payload", [b"[1]", b'"text"', b"null", b"12"])
def test_another_value_has_no_members(payload):
    assert object_members(payload) is None


@pytest.mark.parametrize(
    "payload",
    [b'{"a": 1,}', b'{"a": "x\ny"}', b'\xef\xbb\xbf{"a": 1}', b'{"a": 01}', b'{"a": NaN}', b"{'a': 1}", b"{,}"],
)
def test_members_of_what_is_no_strict_json_are_refused(payload):
    with pytest.raises(Malformed, match=r"it is no JSON from line 1, column \d+ \(byte \d+\): expected "):
        object_members(payload)


def test_sizes_are_bounded():
    with pytest.raises(PathFault, match="longer than 4096"):
        lookup(b"{}", "a" * (MAX_PATH + 1))
    with pytest.raises(Malformed, match="not read as JSON"):
        lookup(b" " * (MAX_PAYLOAD + 1), "a")
