"""The cases that are asked about values: our own, and some made by chance from a fixed seed, hostile ones among them.

A case is a question's name and its inputs as texts; bytes that are no UTF-8 are surrogate escapes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OWN = Path(__file__).with_name("values_own.json")
SEED = 20261129
Case = dict[str, Any]
_ATOMS = [
    *("1", "1.50", "1e3", "-0", "-0.0", "1e-7", "true", "false", "null", '"x"', '"a\\nb"', '"\\u00e9\\ud83d\\ude00"'),
    *(
        '"\\ud800"',
        "12345678901234567890123",
        '"1"',
        '"t"',
        "nan",
        "-Infinity",
        '""',
        '"é"',
        "0x1p4",
        "1_0",
        "tru",
        "nul",
    ),
]
_NAMES = ["a", "b", "ab", "a.b", "", "x*", "é", "a b", 'k\\"', "1", "0", "#"]
_PATHS = ["a", "b", "ab", "a\\.b", "x\\*", "é", "1", "0", "*", "a*", "?", "*b", "??", "*a*b*", "#", "#"]
_QUERIES = ["#(%s)", "#(%s)#", "#[%s]", '#(%s=="x")', "#(%s>1)#", '#(%s%%"*")#', "#(%s!=true)#", "#(%s==~true)#"]
_QUERIES += ["#(%s==~null)", '#(%s<="x")#', '#(%s!%%"a*")#', "#(%s"]
_MODIFIERS = [
    *("this", "keys", "values", "reverse", "flatten", "ugly", "tostr", "fromstr", "valid", "join", "group"),
    *("dig:a", "nope", "this:1"),
]
_YAML = (
    "a|b: |- |\n|  |1|0x|e3|\"|'|[|]|{|}|,|&a |*a|!!str |!!int |on|~|<<: |#|---\n|...\n|: |? |_|.|-|2001-12-14|:30|no|é"
)
_TEXT = ["a", "b", "0", "1", "5", ":", " ", "-", "#", "\n", ".", "é", '"', "'", "_", "\t", "[", "{", ",", "&", "*", "!"]


def cases() -> list[Case]:
    """Return every case, once."""
    chance = random.Random(SEED)
    made = [*own(), *_properties(chance), *_extracts(chance), *_decodings(chance), *_rewrites(chance), *_yamls(chance)]
    return list({json.dumps(case, sort_keys=True): case for case in made}.values())


def own() -> Iterator[Case]:
    """Yield the cases of our own: per question, lists of inputs in the order of ``FIELDS``."""
    for ask, inputs in json.loads(OWN.read_text(encoding="utf-8")).items():
        for values in inputs:
            yield {"ask": ask, **dict(zip(FIELDS[ask], values, strict=True))}


FIELDS = {
    "property": ["payload", "path"],
    "extract": ["payload"],
    "decode": ["strategy", "value"],
    "regexp": ["pattern", "text", "replacement"],
    "tags": ["tags"],
    "yaml.load": ["text"],
    "yaml.keysAndValues": ["text"],
    "yaml.dump": ["value"],
}


def _properties(chance: random.Random) -> Iterator[Case]:
    for _ in range(420):
        payload = _json(chance, 0)
        if not payload.startswith(("{", "[")):
            payload = '{"a":' + payload + "}"
        yield {"ask": "property", "payload": _spoiled(chance, payload), "path": _path(chance, 0)}


def _extracts(chance: random.Random) -> Iterator[Case]:
    for _ in range(120):
        members = ",".join(f'"{chance.choice(_NAMES)}": {_json(chance, 2)}' for _ in range(chance.randint(0, 4)))
        yield {"ask": "extract", "payload": _spoiled(chance, "{" + members + "}")}


def _decodings(chance: random.Random) -> Iterator[Case]:
    alphabets = ["aGkQ=", "aGk_-=", "aGk+/=", "aG\n\r=", "aG =+_"]
    for _ in range(120):
        value = _word(chance, chance.choice(alphabets), 9)
        yield {"ask": "decode", "strategy": chance.choice(["Base64", "Base64URL", "Auto"]), "value": value}


def _rewrites(chance: random.Random) -> Iterator[Case]:
    patterns = [
        "(.*)",
        "a*",
        "(a|b)?",
        "^",
        "$",
        "b|",
        "(?P<n>a)(b)?",
        "[^a]*",
        "\\b",
        "(",
        ".",
        "(.)(.)",
        "(?i)A",
        "é*",
    ]
    targets = ["x", "$1", "${1}x", "$1x", "$$1", "${n}", "$n", "$", "${", "$2-$1", "pre_$0", "$9", "${1", "\\1"]
    for _ in range(120):
        text = _word(chance, "aabé-_.", 6)
        yield {"ask": "regexp", "pattern": chance.choice(patterns), "text": text, "replacement": chance.choice(targets)}


def _yamls(chance: random.Random) -> Iterator[Case]:
    pieces = [*_YAML.split("|"), "|\n", ">-\n"]
    for number in range(240):
        text = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 8)))
        yield {"ask": "yaml.keysAndValues", "text": text if number % 3 else "k: " + text}
    for _ in range(120):
        yield {"ask": "yaml.load", "text": "".join(chance.choice(pieces) for _ in range(chance.randint(1, 8)))}
    for _ in range(240):
        yield {"ask": "yaml.dump", "value": _value(chance, 0)}


def _json(chance: random.Random, depth: int) -> str:
    kind = chance.random()
    if depth > 3 or kind < 0.35:
        return chance.choice([*_ATOMS, '"a\nb"'])
    space, comma = chance.choice(["", "", " ", "\n"]), chance.choice(["", "", "", ","])
    if kind < 0.7:
        members = [
            f'"{chance.choice(_NAMES)}"{space}:{space}{_json(chance, depth + 1)}' for _ in range(chance.randint(0, 4))
        ]
        return "{" + space + ("," + space).join(members) + comma + space + "}"
    return "[" + f"{space},".join(_json(chance, depth + 1) for _ in range(chance.randint(0, 4))) + comma + space + "]"


def _spoiled(chance: random.Random, text: str) -> str:
    """Break a third of the texts, at one place or two."""
    if chance.random() < 0.66:
        return text
    raw = list(text)
    for _ in range(chance.randint(1, 2)):
        at, kind = chance.randrange(len(raw) + 1), chance.random()
        raw[at : at + (kind < 0.4)] = [] if kind < 0.4 else [chance.choice('{}[]",:\\ n1(@\udcff')]
    return "".join(raw) + chance.choice(["", "", " tail"])


def _path(chance: random.Random, depth: int) -> str:
    def component() -> str:
        kind = chance.random()
        if kind < 0.6:
            return chance.choice(_PATHS)
        if kind < 0.75:
            return chance.choice(_QUERIES) % chance.choice(["", "a", "b", "a.b", "ab|a", "#(a)"])
        if kind < 0.9 or depth > 1:
            return "@" + chance.choice(_MODIFIERS)
        form = chance.choice(["{%s,%s}", "[%s,%s]", '{"n":%s,%s}'])
        return form % (_path(chance, depth + 1), _path(chance, depth + 1))

    path = component()
    for _ in range(chance.randint(0, 3)):
        path += chance.choice("...|") + component()
    return chance.choice(["", "", "", "", "", "..", "!true|"]) + path


def _word(chance: random.Random, alphabet: str, longest: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(0, longest)))


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth > 3 or kind < 0.5:
        return "".join(chance.choice(_TEXT) for _ in range(chance.randint(0, 8)))
    if kind < 0.6:
        return chance.choice([None, True, False, 1, 2.5, 1e22, -3, 0.1, 123456.7])
    if kind < 0.8:
        return [_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    return {_word(chance, "ab10290-_. é", 5): _value(chance, depth + 1) for _ in range(chance.randint(0, 3))}
