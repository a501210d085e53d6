import pytest

from keyless.gotemplate import fixed_text, parse


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ `aB` | upper }}{{ `aB` | lower }}{{ title `ab cd` }}", "ABabAb Cd"),
        ("{{ `hi` | b64enc }} {{ `aGk=` | b64dec }}", "aGk= hi"),
        ("{{ `a-b` | replace `-` `_` }}", "a_b"),
        ("{{ trim ` a ` }}|{{ trimAll `$` `$5$` }}|{{ trimPrefix `a` `ab` }}|{{ trimSuffix `b` `ab` }}", "a|5|b|a"),
        ("{{ quote `a\"b` 1 }} {{ squote `a` 1 }}", '"a\\"b" "1" \'a\' \'1\''),
        ("{{ default `x` `` }}{{ default `x` `y` }}{{ default `x` 0 }}{{ `` | default `z` }}", "xyxz"),
        ("{{ (split `,` `a,b`)._1 }}{{ splitList `,` `a,b` | join `-` }}", "ba-b"),
        ("{{ trunc 2 `abc` }}{{ trunc -2 `abc` }}{{ substr 1 2 `abc` }}", "abbcb"),
        ("{{ indent 2 `a\nb` }}{{ nindent 1 `c` }}", "  a\n  b\n c"),
        ("{{ contains `b` `abc` }}{{ hasPrefix `a` `abc` }}{{ hasSuffix `a` `abc` }}", "truetruefalse"),
        ("{{ toJson (dict `b` 1 `a` (list 1.0 1.5 nil true) `h` `<&>`) }}",
         '{"a":[1,1.5,null,true],"b":1,"h":"\\u003c\\u0026\\u003e"}'),
        ("{{ toRawJson `<` }}{{ toPrettyJson (dict `a` 1) }}", '"<"{\n  "a": 1\n}'),
        ("{{ fromJson `{\"n\": 1000000}` | toJson }}", '{"n":1000000}'),
        ("{{ toString 1 }}{{ int `12` }}{{ add 1 2 3 }}{{ sub 3 1 }}{{ mul 2 3 }}{{ div 7 2 }}", "1126263"),
        ("{{ ternary `y` `n` true }}{{ coalesce `` `c` }}{{ empty `` }}", "yctrue"),
        ("{{ list 1 2 | first }}{{ list 1 2 | last }}{{ has 1 (list 1) }}", "12true"),
        ("{{ sortAlpha (list `b` `a`) }}", "[a b]"),
        ("{{ get (dict `a` 1) `a` }}{{ hasKey (dict) `a` }}{{ keys (dict `b` 1 `a` 2) }}", "1false[a b]"),
        ("{{ dict `a` (list 1 2) | toYaml }}", "a:\n- 1\n- 2"),
        ("{{ (fromYaml `a: {b: c}`).a.b }}", "c"),
        ("{{ regexMatch `^a+$` `aaa` }}{{ regexFind `b+` `abbc` }}{{ regexReplaceAll `a(x*)b` `-ab-axxb-` `${1}W` }}",
         "truebb-W-xxW-"),
        ("{{ sha256sum `a` }}", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("{{ nospace ` a b ` }}{{ cat `a` 1 }}{{ repeat 2 `x` }}", "aba 1xx"),
    ],
)  # fmt: skip
def test_sprig_would_print_the_same(source, expected):
    assert parse(source).render({}) == expected


def test_bytes_that_are_no_text_survive_a_round_trip():
    assert parse("{{ .x | b64dec | b64enc }}").render({"x": "/wD+"}) == "/wD+"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1e21, "1000000000000000000000"), (0.1, "0.1"), (1e-7, "0.0000001"), (-2.5, "-2.5"), (0.0, "0")],
)
def test_a_number_without_exponent(value, expected):
    assert fixed_text(value) == expected
