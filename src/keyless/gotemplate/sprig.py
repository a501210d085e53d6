"""The functions beside Go's own that External Secrets users rely on, with the meaning sprig gives them.

Two differences, both towards an error: ``fromJson`` and ``b64dec`` of something else fail, where sprig goes on with nil
or with the error's text as the value. Not here by intent: what reads the environment, the network, a clock or chance.

List: https://masterminds.github.io/sprig/ (facts; the code is ours)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import re2

from keyless.gotemplate.builtins import truth
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.printing import json_text, quoted, text_of, type_of
from keyless.gotemplate.yaml import dump, load

MAX_REPEAT = 1 << 20


def _string(value: Any) -> str:
    return text_of(value)


def _need_string(value: Any) -> str:
    if not isinstance(value, str):
        raise Problem(f"needs a string, found {type_of(value)}")
    return value


def _need_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Problem(f"needs a list, found {type_of(value)}")
    return value


def _from_json(text: str) -> Any:
    try:
        # Go reads every JSON number as a float64.
        return json.loads(_need_string(text), parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Problem("the input is no JSON") from None


def _no_constant(_name: str) -> Any:
    raise ValueError


def _from_yaml(text: str) -> Any:
    return load(_need_string(text))


def _to_yaml(value: Any) -> str:
    return dump(value)


def _b64dec(text: str) -> str:
    try:
        raw = base64.b64decode(_need_string(text).replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Problem("the input is no standard base64") from None
    # Bytes that are no UTF-8 survive until the value is written.
    return raw.decode("utf-8", "surrogateescape")


def _b64enc(text: str) -> str:
    return base64.b64encode(_need_string(text).encode("utf-8", "surrogateescape")).decode()


def _trunc(length: int, text: str) -> str:
    if length < 0:
        return text[length:] if len(text) + length > 0 else text
    return text[:length]


def _substr(start: int, end: int, text: str) -> str:
    if start < 0:
        return text[:end]
    return text[start:] if end < 0 or end > len(text) else text[start:end]


def _repeat(count: int, text: str) -> str:
    if count < 0 or count * len(text) > MAX_REPEAT:
        raise Problem(f"the result would be longer than {MAX_REPEAT} characters")
    return text * count


def _join(separator: str, items: Any) -> str:
    if isinstance(items, list):
        return separator.join(_string(item) for item in items if item is not None)
    return _string(items)


def _indent(spaces: int, text: str) -> str:
    pad = _repeat(spaces, " ")
    return pad + text.replace("\n", "\n" + pad)


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and truth(given[0]) else fallback


def _dict(*pairs: Any) -> dict[str, Any]:
    return {_string(pairs[at]): pairs[at + 1] if at + 1 < len(pairs) else "" for at in range(0, len(pairs), 2)}


def _integer(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value, 10)
        except ValueError:
            return 0
    return int(value) if isinstance(value, int | float) else 0


def _divide(first: Any, second: Any) -> int:
    whole, by = _integer(first), _integer(second)
    if by == 0:
        raise Problem("division by zero")
    return int(whole / by) if abs(whole) < 1 << 52 else whole // by


def _regex(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would print the pattern to standard error
    try:
        return re2.compile(pattern, options=options)
    except re2.error:
        raise Problem("the pattern is no RE2 regular expression") from None


def _regex_replace(pattern: str, text: str, replacement: str) -> str:
    compiled = _regex(pattern)

    def expand(match: Any) -> str:
        out = _GROUP.sub(lambda found: _group(match, found.group(1) or found.group(2)), replacement)
        return str(out)

    return str(compiled.sub(expand, text))


_GROUP = re2.compile(r"\$(?:(\w+)|\{(\w+)\})")


def _group(match: Any, name: str) -> str:
    try:
        found = match.group(int(name) if name.isdigit() else name)
    except (IndexError, KeyError, re2.error):
        return ""
    return found or ""


def _title(text: str) -> str:
    out, begin = [], True
    for character in text:
        out.append(character.upper() if begin else character)
        begin = not (character.isalnum() or character in "_'")
    return "".join(out)


def _get(mapping: Any, key: str) -> Any:
    return mapping.get(key, "") if isinstance(mapping, dict) else _dict_needed(mapping)


def _dict_needed(value: Any) -> Any:
    raise Problem(f"needs a map, found {type_of(value)}")


def _keys(*mappings: dict[str, Any]) -> list[str]:
    return sorted(key for mapping in mappings for key in mapping)


def _fail(_message: str) -> Any:
    # The message is the author's, but may be built from values.
    raise Problem("the template refused its data")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "toString": _string,
    "upper": lambda text: _need_string(text).upper(),
    "lower": lambda text: _need_string(text).lower(),
    "title": _title,
    "fromJson": _from_json,
    "mustFromJson": _from_json,
    "toJson": json_text,
    "mustToJson": json_text,
    "toRawJson": lambda value: json_text(value, escape_html=False),
    "toPrettyJson": lambda value: json_text(value, indent=2),
    "fromYaml": _from_yaml,
    "toYaml": _to_yaml,
    "b64dec": _b64dec,
    "b64enc": _b64enc,
    "replace": lambda old, new, text: _need_string(text).replace(old, new),
    "trim": lambda text: _need_string(text).strip(),
    "trimAll": lambda cutset, text: _need_string(text).strip(cutset),
    "trimPrefix": lambda prefix, text: _need_string(text).removeprefix(prefix),
    "trimSuffix": lambda suffix, text: _need_string(text).removesuffix(suffix),
    "quote": lambda *values: " ".join(quoted(_string(value)) for value in values if value is not None),
    "squote": lambda *values: " ".join(f"'{_string(value)}'" for value in values if value is not None),
    "default": _default,
    "empty": lambda value: not truth(value),
    "coalesce": lambda *values: next((value for value in values if truth(value)), None),
    "ternary": lambda yes, no, test: yes if test else no,
    "required": lambda message, value: value if value not in (None, "") else _fail(message),
    "fail": _fail,
    "split": lambda separator, text: {f"_{n}": part for n, part in enumerate(_need_string(text).split(separator))},
    "splitList": lambda separator, text: _need_string(text).split(separator),
    "join": _join,
    "trunc": _trunc,
    "substr": _substr,
    "repeat": _repeat,
    "nospace": lambda text: "".join(_need_string(text).split()),
    "indent": _indent,
    "nindent": lambda spaces, text: "\n" + _indent(spaces, text),
    "contains": lambda part, text: part in _need_string(text),
    "hasPrefix": lambda prefix, text: _need_string(text).startswith(prefix),
    "hasSuffix": lambda suffix, text: _need_string(text).endswith(suffix),
    "cat": lambda *values: " ".join(_string(value) for value in values if value is not None),
    "list": lambda *values: list(values),
    "first": lambda items: items[0] if items else None,
    "last": lambda items: items[-1] if items else None,
    "rest": lambda items: items[1:],
    "initial": lambda items: items[:-1],
    "append": lambda items, value: [*_need_list(items), value],
    "has": lambda value, items: value in (items or []),
    "uniq": lambda items: [item for at, item in enumerate(items) if item not in items[:at]],
    "sortAlpha": lambda items: sorted(_string(item) for item in _need_list(items)),
    "dict": _dict,
    "get": _get,
    "hasKey": lambda mapping, key: key in mapping,
    "keys": _keys,
    "values": lambda mapping: [mapping[key] for key in sorted(mapping)],
    "int": _integer,
    "int64": _integer,
    "float64": lambda value: float(value),
    "atoi": _integer,
    "add": lambda *values: sum(_integer(value) for value in values),
    "sub": lambda first, second: _integer(first) - _integer(second),
    "mul": lambda first, second: _integer(first) * _integer(second),
    "div": _divide,
    "add1": lambda value: _integer(value) + 1,
    "sha1sum": lambda text: hashlib.sha1(text.encode()).hexdigest(),  # noqa: S324 - what the user asked for
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "regexMatch": lambda pattern, text: _regex(pattern).search(text) is not None,
    "regexFind": lambda pattern, text: ((found := _regex(pattern).search(text)) and found.group(0)) or "",
    "regexReplaceAll": _regex_replace,
    "regexReplaceAllLiteral": lambda pattern, text, new: _regex(pattern).sub(lambda _match: new, text),
}
