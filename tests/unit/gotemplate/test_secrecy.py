"""Nothing that came from a provider, nor anything made of it, is in an error's text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyless.gotemplate import TemplateError, parse
from keyless.gotemplate.evaluator import KNOWN
from keyless.gotemplate.jobs import Job, Work, render_all

PLANTED = "pl4nted"
DATA = {"p": f'{PLANTED}: [*("', PLANTED: "key", "n": "7340917", "j": f'{{"{PLANTED}": {{"{PLANTED}": 1}}}}'}
# What a function may make of the values: their text in other forms, their numbers, their lengths.
TRACES = ("pl4nted", "PL4NTED", "cGw0bnRlZ", "706c346e746564", "7340917", "7340918")
_NAMES = st.sampled_from(sorted(KNOWN))
_ATOMS = st.sampled_from(
    [".p", ".n", ".j", "(fromJson .j)", "(int .n)", "(dict .p `x`)", "(list .p .n)", "1", "`a`", "$"]
)
_CALL = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda name, args: f"({name} {' '.join(args)})", _NAMES, st.lists(inner, min_size=1, max_size=3)),
        st.builds("{}.missing".format, st.just("(dict .p `x`)")),
        st.builds("({}).missing".format, inner),
    ),
    max_leaves=5,
)


def said(text, **more):
    try:
        parse(text).render(DATA, **more)
    except TemplateError as error:
        shown = []
        cause = error
        while cause is not None:
            shown.append(str(cause))
            cause = cause.__cause__
        return " ".join(shown)
    return ""


@settings(deadline=None, max_examples=300)
@given(_CALL)
@example("(dict .p `x`).missing")
@example("(index (list) (int .n))")
@example("(slice (list 1) (int .n))")
def test_no_error_shows_a_value_whatever_was_made_of_it(call):
    for text in (
        f"{{{{ {call} }}}}",
        f"{{{{ range {call} }}}}{{{{ .x }}}}{{{{ end }}}}",
        f"{{{{ template `t` {call} }}}}",
    ):
        shown = said(text, named={"p", "n", "j"})
        assert not [trace for trace in TRACES if trace in shown]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_no_function_tells_what_it_was_given(name):
    for arguments in (".p", ".p .p", ".n .p", "(int .n) .p", "(dict .p .p) .p", "(list .p) (int .n)", ".p .p .p"):
        assert not [trace for trace in TRACES if trace in said(f"{{{{ {name} {arguments} }}}}")]


@pytest.mark.parametrize(
    "text", ["{{ pl4nted }}", "{{ .pl4nted.x", "{{ $pl4nted }}", "{{ .a.pl4nted }}", "{{ 'pl4nted' }}"]
)
def test_nothing_is_shown_of_a_template_that_is_a_secrets_text(text):
    with pytest.raises(TemplateError) as caught:
        render_all(Work((Job("templateFrom.secret t, key k", text, discreet=True),), ({"a": b""},)))
    assert "pl4nted" not in str(caught.value)
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("now", "clock"), ("genCA", "provider"), ("uuidv4", "every time"), ("env", "nothing but their data")],
)
def test_a_function_that_authors_may_expect_is_refused_with_a_reason(name, advice):
    assert advice in said(f"{{{{ {name} }}}}")


def test_a_misspelt_function_is_suggested():
    assert "did you mean 'toJson'?" in said("{{ tojson .p }}")
