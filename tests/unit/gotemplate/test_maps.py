"""A map that is changed is changed wherever it is held, and stays within the bounds on what a value may weigh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.gotemplate import Limits, TemplateError, parse
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import List, Map, drop, put


def free():
    """Pay nothing."""


def weighed(value):
    """Return the same value made anew, so that its weight is measured and not kept up."""
    if isinstance(value, Map):
        return Map((key, weighed(item)) for key, item in value.items())
    return List(weighed(item) for item in value) if isinstance(value, List) else value


_STEPS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([b"a", b"bb", b""]), st.integers(0, 8)), max_size=25)


@given(_STEPS)
def test_a_weight_kept_up_is_the_weight_of_the_same_value_made_anew(steps):
    values = [Map() for _ in range(4)]
    values += [List([values[0], values[0], b"x"]), Map([(b"l", values[1])]), b"text", 1, List([values[2]])]
    maps = [values[0], values[1], values[2], values[3], values[5], values[0]]
    for at, key, what in steps:
        try:
            if what == 7:
                drop(maps[at], key, free)
            else:
                put(maps[at], key, values[what], free)
        except Problem:
            continue  # it would hold itself
    for value in values:
        if isinstance(value, List | Map):
            assert value.weight == weighed(value).weight
            assert value.depth >= weighed(value).depth


@pytest.mark.parametrize(
    "text",
    [
        "{{ $d := dict }}{{ set $d `a` $d }}",
        "{{ $d := dict }}{{ set $d `a` (list 1 (dict `b` $d)) }}",
        "{{ $d := dict }}{{ $e := dict `d` $d }}{{ set $d `e` $e }}",
    ],
)
def test_a_map_never_holds_itself(text):
    with pytest.raises(TemplateError, match="can't hold itself"):
        parse(text).render({})


def test_a_map_that_grows_within_a_doubled_list_meets_the_limit():
    doubled = "{{ $d := dict }}{{ $x := list $d }}{{ range 15 }}{{ $x = list $x $x }}{{ end }}"
    text = doubled + "{{ set $d `a` (repeat 4000 `b`) }}"
    with pytest.raises(TemplateError):
        parse(text).render({}, limits=Limits(steps=20_000))
