"""CloudFormation's intrinsic functions. Pure.

Served: Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::FindInMap, Fn::Base64, Fn::If, and in conditions
Fn::Equals, Fn::And, Fn::Or, Fn::Not, Condition. Any other one is refused by name.
Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keyless.api.numbers import is_digits
from keyless.local.cloud.cloudformation.model import Resource
from keyless.local.cloud.errors import validation

PSEUDO = (
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
)
_SUB = re.compile(r"\$\{(!?)([^}]*)\}")


class Reference(NamedTuple):
    """A name that a template refers to, and which attribute of it."""

    name: str
    attribute: str = ""


class _NoValue:
    """``AWS::NoValue``: the property is not there."""


NO_VALUE = _NoValue()


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean: parameters (with the pseudo ones), mappings, decided conditions, resources that exist."""

    parameters: Mapping[str, Any]
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, bool] = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)


def single(value: Any) -> tuple[str, Any] | None:
    """The function and its argument, when ``value`` is a call of one."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::")):
            return name, argument
    return None


def references(value: Any) -> Iterator[Reference]:
    """Everything that ``value`` refers to by Ref, Fn::GetAtt and Fn::Sub."""
    if called := single(value):
        name, argument = called
        if name == "Ref":
            yield Reference(str(argument))
            return
        if name == "Fn::GetAtt":
            yield _attribute(argument)
            return
        if name == "Fn::Sub":
            yield from _in_sub(argument)
            return
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(child)


def _attribute(argument: Any) -> Reference:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise validation("Template error: every Fn::GetAtt object requires two non-empty parameters")
    return Reference(*parts)


def _in_sub(argument: Any) -> Iterator[Reference]:
    text, given = _sub_parts(argument)
    yield from references(given)
    for escaped, name in _SUB.findall(text):
        if not escaped and name not in given:
            yield _attribute(name) if "." in name else Reference(name)


def _sub_parts(argument: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str):
        text, given = argument
        if isinstance(given, dict):
            return text, given
    raise validation(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as"
        " first argument, and an optional second argument to specify a mapping of values to replace in the string"
    )


def conditions_in(value: Any) -> Iterator[str]:
    """The conditions that resources, outputs and Fn::If name."""
    if isinstance(value, dict):
        if isinstance(named := value.get("Condition"), str) and ("Type" in value or "Value" in value):
            yield named
        if (called := single(value)) and called[0] == "Fn::If" and isinstance(called[1], list) and called[1]:
            yield str(called[1][0])
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from conditions_in(child)


def decide_conditions(declared: Mapping[str, Any], scope: Scope) -> dict[str, bool]:
    """Every condition of a template, true or false."""
    decided: dict[str, bool] = {}

    def named(name: str, asked: tuple[str, ...]) -> bool:
        if name in asked:
            raise validation(f"Circular dependencies for conditions: [{', '.join(sorted(asked))}]")
        if name not in declared:
            raise validation(f"Template format error: Unresolved condition dependency {name}")
        if name not in decided:
            decided[name] = truth(declared[name], (*asked, name))
        return decided[name]

    def truth(value: Any, asked: tuple[str, ...]) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Condition":
                return named(str(argument), asked)
            if name == "Fn::Equals" and isinstance(argument, list) and len(argument) == 2:
                return bool(_text(resolve(argument[0], scope)) == _text(resolve(argument[1], scope)))
            if name in _LOGIC and isinstance(argument, list) and argument:
                return _LOGIC[name](truth(one, asked) for one in argument)
        raise validation("Template format error: Conditions can only be boolean operations on parameters")

    return {name: named(name, ()) for name in declared}


_LOGIC: dict[str, Callable[[Iterator[bool]], bool]] = {
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Not": lambda given: not next(given),
}


def without_conditions(value: Any, conditions: Mapping[str, bool]) -> Any:
    """``value`` with each Fn::If replaced by the branch that holds."""
    if (called := single(value)) and called[0] == "Fn::If":
        if not isinstance(called[1], list) or len(called[1]) != 3:
            raise validation("Template error: Fn::If requires a list argument with three elements")
        name, when, otherwise = called[1]
        return without_conditions(when if conditions.get(str(name)) else otherwise, conditions)
    if isinstance(value, dict):
        return {name: without_conditions(child, conditions) for name, child in value.items()}
    if isinstance(value, list):
        return [without_conditions(child, conditions) for child in value]
    return value


def resolve(value: Any, scope: Scope) -> Any:
    """``value`` with every function replaced by what it gives; ``AWS::NoValue`` takes its property away."""
    if called := single(value):
        function = _FUNCTIONS.get(called[0])
        if function is None:
            raise validation(f"Template error: this cloud has no {called[0]}")
        return function(called[1], scope)
    if isinstance(value, dict):
        resolved = {name: resolve(child, scope) for name, child in value.items()}
        return {name: child for name, child in resolved.items() if child is not NO_VALUE}
    if isinstance(value, list):
        return [child for one in value if (child := resolve(one, scope)) is not NO_VALUE]
    return value


def _ref(argument: Any, scope: Scope) -> Any:
    if argument == "AWS::NoValue":
        return NO_VALUE
    if argument in scope.parameters:
        return scope.parameters[argument]
    if argument in scope.resources and scope.resources[argument].exists:
        return scope.resources[argument].physical_id
    raise validation(f"Template format error: Unresolved resource dependencies [{argument}]")


def _get_att(argument: Any, scope: Scope) -> str:
    wanted = _attribute(argument)
    found = scope.resources.get(wanted.name)
    if found is None or wanted.attribute not in found.attributes:
        text = f"Template error: resource {wanted.name} does not support attribute type {wanted.attribute}"
        raise validation(f"{text} in Fn::GetAtt")
    return found.attributes[wanted.attribute]


def _sub(argument: Any, scope: Scope) -> str:
    text, given = _sub_parts(argument)
    values = {name: resolve(value, scope) for name, value in given.items()}

    def put(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return "${" + name + "}"
        if name in values:
            return str(_text(values[name]))
        found = _get_att(name, scope) if "." in name else _ref(name, scope)
        if not isinstance(found, str):
            raise validation(f"Template error: variable {name} in Fn::Sub expression does not resolve to a string")
        return found

    return _SUB.sub(put, text)


def _join(argument: Any, scope: Scope) -> str:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
        raise validation(
            "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of"
            " strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
        )
    values = resolve(argument[1], scope)
    return argument[0].join(str(_text(value)) for value in (values if isinstance(values, list) else [values]))


def _select(argument: Any, scope: Scope) -> Any:
    if isinstance(argument, list) and len(argument) == 2:
        index, values = (resolve(one, scope) for one in argument)
        if isinstance(values, list) and is_digits(str(index)) and int(index) < len(values):
            return values[int(index)]
    raise validation("Template error: Fn::Select cannot select nonexistent value at index")


def _split(argument: Any, scope: Scope) -> list[str]:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str) or not argument[0]:
        raise validation("Template error: every Fn::Split object requires two parameters")
    return str(_text(resolve(argument[1], scope))).split(argument[0])


def _find_in_map(argument: Any, scope: Scope) -> Any:
    keys = [resolve(one, scope) for one in argument] if isinstance(argument, list) else []
    found: Any = scope.mappings
    for key in keys[:3]:
        found = found.get(key) if isinstance(found, dict) and isinstance(key, str) else None
    if len(keys) != 3 or found is None:
        raise validation(f"Template error: Unable to get mapping for {'::'.join(map(str, keys))}")
    return found


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(str(_text(resolve(argument, scope))).encode()).decode()


def _text(value: Any) -> Any:
    """Scalars as text: CloudFormation compares and joins strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


_FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
}
