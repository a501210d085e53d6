"""Templates to ask Go about: written by hand, made for every function, and made by hypothesis with a fixed seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from keyless.gotemplate import FUNCTIONS
from keyless.gotemplate.builtins import BUILTINS
from keyless.gotemplate.functions.certificates import CERTIFICATES
from keyless.gotemplate.functions.dates import DATES

HERE = Path(__file__).parent
DATA = {
    "user": b"ada",
    "n": b"3",
    "empty": b"",
    "bin": b"\xff\x00\xe9a\xc3\xa9",
    "json": b'{"port": 5432, "ok": true, "list": [1, "a"], "n": null}',
    "text": b"line one\nline two\n",
    "dash-ed": b"x",
}
# Go's order of keys is by chance there, and there are no such functions in Go's map.
# Salts are made by chance there. External Secrets' own functions are in its map, not in sprig's.
UNCOMPARABLE = frozenset({"keys", "values", "required", "bcrypt", "htpasswd", *CERTIFICATES})
ARGUMENTS = {
    "s": ['"a"', '"héllo wörld"', '""', ".user", ".bin", '"a,b,a"', ".text", '"^a(.)?"', ".n", '"aGk="', '"$1-"'],
    "i": ["0", "1", "2", "-1", "7"],
    "f": ["0.5", "1"],
    "b": ["true", "false"],
    "t": ['(toDate "2006-01-02" "2017-12-31")', '(toDate "15:04 MST" "10:20 PST")'],
    "m": ['(dict "a" 1 "b" (list 1 2))', "(dict)", "(fromJson .json)"],
    "a": [
        "1", "-2", "1.5", '"a"', '"12"', '"0x1F"', '"3.7"', "nil", "true", "(list 1 2 3)", '(list "b" "a" "b")',
        "(list)", '(dict "a" 1)', ".user", ".bin", "(add 1 2)", "(index .user 0)", '(splitList "," "x,y")', "1e6",
        "(rest (list 1))",
    ],
}  # fmt: skip


def own() -> Iterator[str]:
    """Yield the templates written by hand; one that starts with a bare line break goes on."""
    yield from (HERE / "own.txt").read_text().split("\n")


def for_every_function(each: int = 7) -> Iterator[str]:
    """Yield calls of every function with arguments of its types, now and then of another's, or one too few."""
    chance = random.Random(8)
    for name, function in sorted({**BUILTINS, **FUNCTIONS}.items()):
        if name in UNCOMPARABLE or name in DATES:
            continue
        for _ in range(each):
            letters = function.fixed + function.rest * chance.randrange(3 if function.rest else 1)
            if chance.random() < 0.08:
                letters = letters[1:]
            arguments = [chance.choice(ARGUMENTS["a" if chance.random() < 0.06 else letter]) for letter in letters]
            yield "{{ " + " ".join([name, *arguments]) + " }}"


LAYOUTS = (
    *("2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "Mon, 02 Jan 2006 15:04:05 -0700"),
    *("Mon Jan _2 15:04:05 2006", "02 Jan 06 15:04 MST", "3:04PM", "2006-002 15h", "Monday, 2 January 2006 3:4:5 pm"),
    *("20060102150405.000", "Jan 2 __2 -07:00:00", "06/1/2 03,999"),
)
TIMES = ("0", "1500000000", "951782400", "-1", "-62135596800", "4102444799")


def for_dates() -> Iterator[str]:
    """Yield dates written and read by layout; what would be the present in Go is not asked: it is another each day."""
    for layout in LAYOUTS:
        for time in TIMES:
            yield f'{{{{ date "{layout}" {time} }}}}'
            yield f'{{{{ mustToDate "{layout}" (date "{layout}" {time}) | dateModify "-36h15m0.5s" | toJson }}}}'
        yield f'{{{{ mustToDate "{layout}" "2017-12-31 10:20" }}}}'


_CALLS = ["quote", "toJson", "print", "int", "not", "toString", "empty", "toString | upper", "toString | len", "squote",
          "float64", "kindOf", "list", "toString | b64enc", "html", "urlquery", "js", "println", "toYaml"]  # fmt: skip
_TEXTS = [text for text in ARGUMENTS["s"] if text != ".text"]
_ATOMS = st.sampled_from(
    [*_TEXTS, *ARGUMENTS["i"], *(a for a in ARGUMENTS["a"] if a != "nil"), "$x", ".", "$", "$.user"]
)
_PAIRS = ["eq", "and", "or", "list", "add", "mul", "default", "cat", "max", "sub", "print", "dict", "ge", "has"]
_FORMS = [
    '"%v"',
    '"%5s|"',
    '"%-6d|"',
    '"%q"',
    '"%x"',
    '"%.2f"',
    '"%T"',
    '"%#v"',
    '"%+v|% d"',
    '"%08.3f"',
    '"%[1]v%[1]s"',
]


def _expression(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({1} | {0})".format, st.sampled_from(_CALLS), inner),
        st.builds("({} {} {})".format, st.sampled_from(_PAIRS), inner, inner),
        st.builds("(printf {} {})".format, st.sampled_from(_FORMS), inner),
        st.builds("(index (list {} {}) 1)".format, inner, inner),
        st.builds('(dict "k" {}).k'.format, inner),
    )


_VALUES = st.recursive(_ATOMS, _expression, max_leaves=4)
_LISTS = st.one_of(
    st.builds("(list {} {})".format, _VALUES, _VALUES),
    st.builds('(dict "b" {} "a" {})'.format, _VALUES, _VALUES),
    st.sampled_from(['(splitList "," "x,y")', "(until 3)", "list", "2", "."]),
)


def _block(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{{{{ if {} }}}}{}{{{{ else }}}}{}{{{{ end }}}}".format, _VALUES, inner, inner),
        st.builds("{{{{- with {} }}}}{} {{{{- end -}}}} ".format, _VALUES, inner),
        st.builds("{{{{ range $i, $e := {} }}}}{{{{ $i }}}}{}{{{{ else }}}}none{{{{ end }}}}".format, _LISTS, inner),
        st.builds("{{{{ range {} }}}}{}{{{{ break }}}}{{{{ end }}}}".format, _LISTS | _VALUES, inner),
        st.builds("{{{{ $x = {} }}}}{}".format, _VALUES, inner),
        st.builds('{{{{ block "b" {} }}}}{}{{{{ end }}}}'.format, _VALUES, inner),
        st.builds("{}{}".format, inner, inner),
    )


_ACTIONS = st.one_of(st.builds("{{{{ {} }}}}".format, _VALUES), st.sampled_from(["text ", "\n", " {{/* c */}} "]))
TEMPLATES = st.recursive(_ACTIONS, _block, max_leaves=4).map("{{{{ $x := 1 }}}}{}".format)


def by_hypothesis(count: int = 500, seeded: int = 8) -> list[str]:
    """Return templates of the grammar, the same ones every time."""
    found: dict[str, None] = {}

    @seed(seeded)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(TEMPLATES)
    def collect(text: str) -> None:
        found[text] = None

    collect()
    return list(found)


def cases() -> list[str]:
    """Return every template once."""
    return list(dict.fromkeys([*own(), *for_every_function(), *for_dates(), *by_hypothesis()]))
