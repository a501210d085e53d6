"""Whatever a template does, it ends within its limits: every function over every hostile value, and any template."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.gotemplate import FUNCTIONS, Limits, TemplateError, parse
from keyless.gotemplate.builtins import BUILTINS
from keyless.gotemplate.evaluator import KNOWN

SMALL = Limits(output_bytes=8 << 10, made_bytes=256 << 10, steps=1_000)
# What one rendering may hold at once: what it made, ten times a text on the way, and the parsed template.
PEAK_BYTES = 4 << 20
HOSTILE = {
    "a list that doubles": "{{ $x := list 1 }}{{ range 40 }}{{ $x = list $x $x }}{{ end }}",
    "a map that doubles": "{{ $x := dict }}{{ range 40 }}{{ $x = dict `a` $x `b` $x }}{{ end }}",
    "a map that doubles a few times": "{{ $x := dict `a` 1 }}{{ range 8 }}{{ $x = dict `a` $x `b` $x }}{{ end }}",
    "a wide list": "{{ $x := until 800 }}",
    "a long text": "{{ $x := repeat 4000 `\x01` }}",
    "commas": "{{ $x := repeat 4000 `,` }}",
    "a deep list": "{{ $x := list 1 }}{{ range 90 }}{{ $x = list $x }}{{ end }}",
    "aliases": "{{ $x := `a: &a [x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]` }}",
    "merges": "{{ $x := `a: &a {k: v}\nb: &b {<<: [*a,*a,*a,*a,*a,*a]}\nc: {<<: [*b,*b,*b,*b,*b,*b,*b]}` }}",
}  # fmt: skip
ARGUMENTS = {
    "t": "(toDate `2006` `2017`)",
    "s": "(toString $x)",
    "i": "1000000",
    "f": "1e300",
    "b": "true",
    "m": "(dict `a` $x)",
    "a": "$x",
}
CALLS = [
    f"{name} {' '.join(ARGUMENTS[letter] for letter in function.fixed + function.rest * more)}"
    for name, function in sorted(KNOWN.items())
    for more in ((3,) if function.rest else (0,))
]


def render(text):
    """Render; a limit that is met is an end as good as any."""
    with contextlib.suppress(TemplateError):
        parse(text).render_bytes({}, limits=SMALL)


@pytest.mark.parametrize("value", HOSTILE)
def test_every_function_ends_whatever_it_is_given(value):
    for at in range(0, len(CALLS), 8):
        calls = CALLS[at : at + 8]
        tracemalloc.start()
        for call in calls:
            render(f"{HOSTILE[value]}{{{{ $y := {call} }}}}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < PEAK_BYTES, calls


def test_the_table_holds_every_function():
    assert {call.split()[0] for call in CALLS} == {*FUNCTIONS, *BUILTINS}


RUNS_AWAY = {
    "{{ $x := 3 }}{{ range 40 }}{{ $x = mul $x $x }}{{ end }}{{ $x }}": "",
    "{{ $x := list 1 }}{{ range 40 }}{{ $x = list $x $x }}{{ end }}": "written out in full",
    "{{ $x := `a` }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}": "longer than 1048576 bytes",
    "{{ $x := list }}{{ range 100000 }}{{ $x = append $x `a` }}{{ end }}": "steps",
    "{{ uniq (until 300000) }}": "until: more than",
    "{{ replace `a` (repeat 1000 `b`) (repeat 10000 `a`) }}": "replace: a text would be longer",
    "{{ repeat 10000 `\n` | indent 1000 }}": "indent: a text would be longer",
    "{{ join (repeat 1000 `,`) (until 10000) }}": "join: a text would be longer",
    "{{ repeat 999999999999 `x` }}": "repeat: a text would be longer",
    "{{ repeat 1000000 `\x01` | toJson }}": "toJson: ",
    "{{ printf `%9000000d` 1 }}": "printf: a text would be longer",
    "{{ printf (repeat 5000 `%900d`) 1 }}": "",
    "{{ range 999999999999 }}{{ end }}": "steps",
    "{{ define `a` }}{{ template `a` . }}{{ end }}{{ template `a` . }}": "100 deep",
    "{{ define `a` }}{{ range 99999 }}{{ template `b` }}{{ end }}{{ end }}{{ define `b` }}x{{ end }}"
    "{{ template `a` }}": "steps",
    "{{ regexReplaceAll `` (repeat 100000 `a`) (repeat 100 `b`) }}": "regexReplaceAll: a text would be longer",
    "{{ regexFindAll `` (repeat 300000 `a`) -1 }}": "regexFindAll: more than",
    "{{ range 100000 }}{{ regexMatch (printf `a{1000}%d` .) `b` }}{{ end }}": "steps",
    "{{ splitList `` (repeat 1000000 `a`) }}": "splitList: more than",
    "{{ seq 99999999 }}": "seq: more than",
    "{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}": "steps",
    "{{ range 20 }}{{ repeat 100000 `x` }}{{ end }}": "output is longer",
    "{{ fromJson (repeat 1000000 `[`) }}": "fromJson: more than",
    "{{ fromYaml (repeat 1000000 `[`) }}": "fromYaml: ",
    "{{ fromYaml (repeat 100000 `[`) }}": "fromYaml: the input is no YAML",
    "{{ fromYaml (repeat 1000 `- `) }}": "fromYaml: the input is no YAML",
}  # fmt: skip


@pytest.mark.parametrize("text", RUNS_AWAY)
def test_a_template_that_runs_away_names_the_limit_it_met(text):
    if not RUNS_AWAY[text]:
        parse(text).render_bytes({})
        return
    with pytest.raises(TemplateError) as caught:
        parse(text).render_bytes({})
    assert RUNS_AWAY[text] in str(caught.value)


def test_a_product_wraps_at_64_bits_as_go_does():
    text = "{{ $x := 3 }}{{ range 40 }}{{ $x = mul $x $x }}{{ end }}{{ $x }}"
    assert -(1 << 63) <= int(parse(text).render({})) < 1 << 63


_NAMES = st.sampled_from(sorted(KNOWN))
_ATOMS = st.sampled_from(["$x", "$x", "1", "1000000", "-1", "`a`", "``", "true", "nil", "1e300", "."])
_CALL = st.recursive(
    _ATOMS,
    lambda inner: st.builds(lambda name, args: f"({name} {' '.join(args)})", _NAMES, st.lists(inner, max_size=3)),
    max_leaves=5,
)
_BODY = st.recursive(
    st.builds("{{{{ $x = {} }}}}".format, _CALL) | st.builds("{{{{ {} }}}}".format, _CALL),
    lambda inner: st.one_of(
        st.builds("{{{{ range 1000000 }}}}{}{{{{ end }}}}".format, inner),
        st.builds("{{{{ range $x }}}}{}{{{{ end }}}}".format, inner),
        st.builds("{{{{ with {} }}}}{}{{{{ end }}}}".format, _CALL, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(sorted(HOSTILE.values())), _BODY)
def test_any_template_ends_within_its_limits(setup, body):
    tracemalloc.start()
    render(setup + body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK_BYTES
