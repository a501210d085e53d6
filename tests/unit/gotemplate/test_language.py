import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.gotemplate import Limits, TemplateError, parse

DATA = {
    "user": "ada",
    "empty": "",
    "n": 3,
    "f": 1.5,
    "list": ["a", "b"],
    "map": {"x": {"y": "deep"}, "b": 1, "a": 2},
    "json": '{"port": 5432, "ok": true}',
}


def render(source, data=None, **more):
    return parse(source).render(DATA if data is None else data, **more)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a{{ .user }}b", "aadab"),
        ("a {{- .user -}} b", "aadab"),
        ("a\n{{- /* note */ -}}\n b", "ab"),
        ("{{/* note */}}x", "x"),
        ("{{3}} {{-3}} {{- 3}}", "3 -33"),
        ('{{"a\\tb\\u00e9\\x41\\""}}', 'a\tbéA"'),
        ("{{`raw \\n`}}", "raw \\n"),
        ("{{'a'}}", "97"),
        ("{{0x1F}} {{1_000}} {{1e3}} {{017}} {{.5}}", "31 1000 1000 15 0.5"),
        ("{{true}}{{printf `%v` nil}}", "true<nil>"),
        ("{{ .map.x.y }}", "deep"),
        ("{{ (index .map `x`).y }}", "deep"),
        ("{{ $.user }}", "ada"),
        ("{{ . | len }}", str(len(DATA))),
        ("{{ .list }} {{ .map.x }} {{ .f }} {{ 1000000.0 }}", "[a b] map[y:deep] 1.5 1e+06"),
        ("{{ index .list 1 }}", "b"),
        ("{{ index .map `x` `y` }}", "deep"),
        ("{{ index . `absent` }}", "<no value>"),
        ("{{ substr 1 2 .user }}{{ slice .list 1 }}", "d[b]"),
        ("{{ if .empty }}a{{ else if eq .n 3 }}b{{ else }}c{{ end }}", "b"),
        ("{{ if and .user (not .empty) }}y{{ end }}", "y"),
        ("{{ or .empty .user }}{{ and .empty .absent }}", "ada"),
        ("{{ with .map.x }}{{ .y }}{{ $.user }}{{ end }}", "deepada"),
        ("{{ with .empty }}a{{ else with .user }}{{ . }}{{ end }}", "ada"),
        ("{{ range .list }}[{{ . }}]{{ end }}", "[a][b]"),
        ("{{ range $i, $e := .list }}{{ $i }}{{ $e }}{{ end }}", "0a1b"),
        ("{{ range $k, $v := .map }}{{ $k }},{{ end }}", "a,b,x,"),
        ("{{ range .empty | default list }}x{{ else }}none{{ end }}", "none"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{.}}{{ end }}", "02"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ('{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .user }}', "<ada>"),
        ('{{ block "b" .user }}({{ . }}){{ end }}', "(ada)"),
        ("{{ eq 1 2 1 }} {{ ne `a` `b` }} {{ lt 1 2 }}", "true true true"),
        ("{{ ge `b` `a` }} {{ le 2 2 }} {{ gt 1 2 }}", "true true false"),
        ("{{ printf `%s-%05d-%q-%v` `a` 42 `q\"` .list }}", 'a-00042-"q\\""-[a b]'),
        ("{{ printf `%t-%.2f-%x-%%` true 1.5 `hi` }}", "true-1.50-6869-%"),
        ("{{ printf `%-4s|%4s|%+d|%s` `a` `b` 5 1 }}", "a   |   b|+5|%!s(int=1)"),
        ("{{ printf `%d %s` 1 }}{{ printf `a` 1 }}", "1 %!s(MISSING)a%!(EXTRA int=1)"),
        ("{{ print 1 2 `a` 3 }} {{ println `x` 1 }}", "1 2a3 x 1\n"),
        ("{{ `a b&c` | urlquery }} {{ html `<a>` }}", "a+b%26c &lt;a&gt;"),
        ("{{ .user | printf `%s:%s` `x` }}", "x:ada"),
        ("{{ (.json | fromJson).port }} {{ (fromJson .json).ok }}", "5432 true"),
        ("{{if(eq .n 3)}}y{{end}}", "y"),
    ],
)  # fmt: skip
def test_go_would_print_the_same(source, expected):
    assert render(source) == expected


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ .usr }}", "map has no entry for key 'usr'"),
        ("a\nb {{ .absent }}", "line 2: map has no entry"),
        ("{{ .user.name }}", "can't evaluate field name in type string"),
        ("{{ nosuch .user }}", "function 'nosuch' is not defined"),
        ("{{ $x }}", "undefined variable '$x'"),
        ("{{ if .user }}", "no {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ .user ", "unclosed action"),
        ("{{ /* x }}", "unexpected '/'"),
        ("{{/* x }}", "unclosed comment"),
        ("{{ }}", "missing value for command"),
        ("{{ .user | .list }}", "can't give an argument to .list"),
        ("{{ .user | 3 }}", "only a function can stand after |"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ template `t` }}", "template 't' is not defined"),
        ("{{ eq 1 1.5 }}", "eq: incompatible types for comparison: int and float64"),
        ("{{ index .list 5 }}", "index: the index is out of range"),
        ("{{ range .user }}{{ end }}", "range can't iterate over a string"),
        ("{{ (1 }}", "unclosed parenthesis"),
        ('{{ "a\\z" }}', "unknown escape"),
        ("{{ .a-b }}", "unexpected"),
        ("{{ upper .n }}", "upper: argument 1: needs a string, found int"),
        ("{{ upper }}", "upper: takes 1 argument, found 0"),
    ],
)
def test_a_mistake_is_named_with_its_line(source, problem):
    with pytest.raises(TemplateError) as caught:
        render(source)
    assert problem in str(caught.value)


def test_a_key_that_is_nearly_right_is_suggested():
    with pytest.raises(TemplateError, match=r"did you mean 'db-user'.*index \. .db-user"):
        render("{{ .dbUser }}", {"db-user": "x"}, named={"db-user"})


def test_a_key_that_came_from_the_provider_is_never_suggested():
    with pytest.raises(TemplateError) as caught:
        render("{{ .dbUser }}", {"db-user": "x", "other": "y"}, named={"other"})
    assert "db-user" not in str(caught.value)
    assert "known names: other" in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ fromJson .p }}", "{{ b64dec .p }}", "{{ .p.x }}", "{{ index .p .p }}",
        "{{ fail .p }}", "{{ required .p `` }}", "{{ regexFind .p `x` }}", "{{ trunc .p .p }}", "{{ eq .p 1 }}",
        "{{ slice .p 90 }}", "{{ fromYaml .p }}", "{{ div 1 .p }}", "{{ range .p }}{{ end }}",
    ],
)  # fmt: skip
def test_no_error_ever_holds_a_value(source):
    with pytest.raises(TemplateError) as caught:
        render(source, {"p": "pl4nted: [*("})
    shown = caught.value
    while shown is not None:
        assert "pl4nted" not in str(shown)
        shown = shown.__cause__


@pytest.mark.parametrize(
    "source",
    [
        '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
        "{{ range 999999999 }}{{ end }}",
        "{{ repeat 999999999 `x` }}",
        "{{ range 2000 }}{{ repeat 1000 `x` }}{{ end }}",
        "{{ printf `%9999999d` 1 | repeat 1000 }}",
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{ if true }}" * 500 + "{{ end }}" * 500,
    ],
)
def test_a_template_that_runs_away_is_stopped(source):
    with pytest.raises(TemplateError):
        render(source)


def test_limits_are_the_callers():
    with pytest.raises(TemplateError, match="longer than 3 bytes"):
        render("four", limits=Limits(output_bytes=3))


def test_other_delimiters_leave_braces_alone():
    assert parse("{{ x }} [[ .user ]]", left="[[", right="]]").render(DATA) == "{{ x }} ada"


PIECES = [
    *(
        "{{",
        "}}",
        "-",
        " ",
        "\n",
        ".user",
        "if",
        "end",
        "range",
        "|",
        "(",
        ")",
        "$x",
        ":=",
        '"a"',
        "1",
        "else",
        "define",
    )
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_renders_or_is_refused(source):
    with contextlib.suppress(TemplateError):
        render(source)
