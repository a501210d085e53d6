"""sprig's defaults and questions about values and their types.

List: https://masterminds.github.io/sprig/defaults.html, https://masterminds.github.io/sprig/reflection.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.values import kind_of, same, truth, type_of


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and truth(given[0]) else fallback


def _refused(*_message: Any) -> Any:
    # The message is the author's, but may be built from values.
    raise Problem("the template refused its data")


def _required(_message: Any, value: Any) -> Any:
    return _refused() if value is None or value == b"" else value


def _type_name(value: Any) -> bytes:
    return type_of(value).encode()


CHOICES: Mapping[str, Function] = {
    "default": Function("a*a", _default, cost="look"),
    "empty": Function("a", lambda value: not truth(value), cost="look"),
    "coalesce": Function("*a", lambda *values: next(filter(truth, values), None), cost="look"),
    "all": Function("*a", lambda *values: all(map(truth, values)), cost="look"),
    "any": Function("*a", lambda *values: any(map(truth, values)), cost="look"),
    "ternary": Function("aab", lambda yes, no, test: yes if test else no, cost="look"),
    # Helm's, which authors expect.
    "required": Function("sa", _required, cost="look"),
    "fail": Function("s", _refused, cost="look"),
    "deepEqual": Function("aa", same),
    "typeOf": Function("a", _type_name, cost="look"),
    "typeIs": Function("sa", lambda name, value: name == _type_name(value), cost="look"),
    "typeIsLike": Function("sa", lambda name, value: name == _type_name(value), cost="look"),  # there are no pointers
    "kindOf": Function("a", lambda value: kind_of(value).encode(), cost="look"),
    "kindIs": Function("sa", lambda name, value: name == kind_of(value).encode(), cost="look"),
}
