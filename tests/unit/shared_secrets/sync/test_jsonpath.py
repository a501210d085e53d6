import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.shared_secrets.sync.jsonpath import lookup, read_untrusted

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
        ("a.l.#(p==", None),
    ],
)
def test_a_property_is_what_external_secrets_would_find(path, expected):
    assert lookup(PAYLOAD, path) == expected


@pytest.mark.parametrize("payload", ["", "{", "plain", '{"a":1}x', "[" * 5000, '{"a"}', "nul", '"\\q"'])
def test_a_payload_that_is_no_json_has_no_properties(payload):
    assert lookup(payload, "a") is None


def test_the_last_of_two_members_wins():
    assert lookup('{"a": 1, "a": 2}', "a") == "2"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=80, deadline=None)
@given(documents)
def test_the_tree_keeps_the_text_it_was_read_from(document):
    text = json.dumps(document, indent=1)
    assert read_untrusted(text).raw == text.strip()


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet='{}[]",:0123.aetrufalsn \\-'), st.text())
def test_no_payload_and_no_path_is_too_odd(text, path):
    lookup(text, path)
