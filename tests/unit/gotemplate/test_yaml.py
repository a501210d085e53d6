import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.yaml import dump, keys_and_values, load


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on: yes\ny: off\nn: N", {"true": "false", "false": "false"}),
        ('"on": "yes"', {"on": "yes"}),
        (
            "a: 0123\nb: 0x1F\nc: 1e3\nd: 1.50\ne: 1_000\nf: 08",
            {"a": "83", "b": "31", "c": "1000", "d": "1.5", "e": "1000", "f": "8"},
        ),
        ("a: 12:30:45\nb: 2001-12-14\nc: 2001-12-14t21:59:43.10-05:00", None),
        ("a:\nb: ~\nc: null\nd: ''", {"a": "", "b": "", "c": "", "d": ""}),
        ("a: 1234e56\nb: 123456789012345678901234567890\nc: 3.14159265", None),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: 1\n---\nb: 2", {"a": "1"}),
        ("a: &x 1\nb: *x\n<<: {c: 3}", {"a": "1", "b": "1", "c": "3"}),
        ("", {}),
        ("# nothing", {}),
    ],
)
def test_keys_and_values_are_what_external_secrets_makes_of_them(text, expected):
    if expected is None:
        expected = dict(line.split(": ", 1) for line in text.splitlines())
    assert keys_and_values(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [1]", "key 1 is a list"),
        ("a: 1\nb: {c: d}", "key 2 is a map"),
        ("- a", "no YAML map"),
        ("plain", "no YAML map"),
        ("a: b: pl4nted", "line 1"),
        ("a: *pl4nted", "alias"),
        ("? [pl4nted]\n: b", "a key is a map or a list"),
        ("null: pl4nted", "a key is null"),
        ("&a [*a]", "contains itself"),
        ("a: !!int pl4nted", "does not fit its tag"),
        ("a: !!binary pl4nted!", "no base64"),
        ("a: \x07", "no YAML"),
    ],
)
def test_a_fault_names_the_place_and_holds_no_value(text, fault):
    with pytest.raises(Problem, match=fault) as caught:
        keys_and_values(text)
    assert "pl4nted" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5432.0, "5432"),
        ("text", "text"),
        ("", '""'),
        ({"b": [1.0, 2.5], "a": {"on": "yes"}}, 'a:\n  "on": "yes"\nb:\n- 1\n- 2.5'),
        ({"k": "one\ntwo\n"}, "k: |\n  one\n  two"),
        ({"k10": None, "k9": True}, "k9: true\nk10: null"),
        ([{}, [], "12:30:45", "2001-12-14", "0x1F"], '- {}\n- []\n- "12:30:45"\n- "2001-12-14"\n- "0x1F"'),
        (1e6, "1000000"),
        (1e22, "1e+22"),
        (0.1, "0.1"),
        ("\udcff", "\ufffd"),
    ],
)
def test_a_value_is_written_as_go_writes_it(value, expected):
    assert dump(value) == expected


def test_the_same_list_twice_is_written_twice():
    shared = ["x"]
    assert dump({"a": shared, "b": shared}) == "a:\n- x\nb:\n- x"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(Problem, match="JSON cannot hold"):
        dump(value)


plain = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=12,
)


@effort(200)
@given(documents)
def test_what_is_written_is_read_back(value):
    assert load(dump(value)) == value


@effort(200)
@given(st.text(alphabet="ab:-|>[]{},&*!?#%@`'\" \n0x1e.~<_", max_size=40))
def test_no_text_is_too_odd(text):
    for reader in (load, keys_and_values):
        with contextlib.suppress(Problem):
            reader(text)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a " + "x" * 60_000 + "\n" + "b: [" + "*a," * 2000 + "]",
        "a: &a {"
        + ",".join(f"k{n}: v" for n in range(500))
        + "}\n"
        + "".join(f"b{n}: {{<<: *a}}\n" for n in range(2000)),
        "[" * 30_000,
        "- " * 20_000,
        "? " * 5000,
        "{a: " * 10_000,
        "- x\n" * 100_000,
        "x" * ((1 << 20) + 1),
    ],
    ids=["billion laughs", "long text", "merges", "lists", "sequences", "keys", "maps", "many items", "size"],
)
def test_a_hostile_text_is_refused_soon(text):
    begun = time.thread_time()
    with pytest.raises(Problem):
        load(text)
    assert time.thread_time() - begun < 2


def test_what_is_too_large_or_too_deep_is_not_written():
    deep = "x"
    for _ in range(200):
        deep = [deep]
    with pytest.raises(Problem, match="deep"):
        dump(deep)
    with pytest.raises(Problem, match="characters"):
        dump(["x" * 600_000, "y" * 600_000])
