"""The values of a template's parameters: given ones, defaults, and what they must fulfil. Pure.

Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from keyless.local.cloud.cloudformation.template import Template
from keyless.local.cloud.errors import AwsError, validation

_HIDDEN = "****"
_LISTS = ("CommaDelimitedList", "List<")


def values(
    template: Template, given: Sequence[Mapping[str, Any]], previous: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The text of every parameter, given ones before defaults; raises ValidationError. ``previous``: of the stack."""
    found: dict[str, str] = {}
    for one in given:
        name = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if previous is None or name not in previous:
                raise validation(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true")
            found[name] = previous[name]
        elif one.get("ParameterValue") is not None:
            found[name] = one["ParameterValue"]
    if extra := sorted(set(found) - set(template.parameters)):
        raise validation(f"Parameters: [{', '.join(extra)}] do not exist in the template")
    for name, declared in template.parameters.items():
        if name not in found and "Default" in declared:
            found[name] = _text(declared["Default"])
    if missing := [name for name in template.parameters if name not in found]:
        raise validation(f"Parameters: [{', '.join(missing)}] must have values")
    for name, declared in template.parameters.items():
        _check(name, declared, found[name])
    return {name: found[name] for name in template.parameters}


def typed(template: Template, texts: Mapping[str, str]) -> dict[str, Any]:
    """What ``Ref`` gives: text, or a list for the types of lists."""
    return {
        name: text.split(",") if str(template.parameters[name].get("Type", "")).startswith(_LISTS) else text
        for name, text in texts.items()
        if name in template.parameters
    }


def shown(template: Template, texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Parameters as DescribeStacks lists them: those marked ``NoEcho`` are hidden."""
    return [
        {"ParameterKey": name, "ParameterValue": _HIDDEN if is_hidden(template.parameters.get(name, {})) else text}
        for name, text in texts.items()
    ]


def is_hidden(declared: Mapping[str, Any]) -> bool:
    """Whether a parameter's value must not be shown."""
    return _text(declared.get("NoEcho", False)) == "true"


def declarations(template: Template) -> list[dict[str, Any]]:
    """Parameters as GetTemplateSummary and ValidateTemplate list them."""
    found = []
    for name, declared in template.parameters.items():
        one: dict[str, Any] = {
            "ParameterKey": name,
            "ParameterType": declared.get("Type", "String"),
            "NoEcho": is_hidden(declared),
        }
        if "Default" in declared:
            one["DefaultValue"] = _text(declared["Default"])
        if "Description" in declared:
            one["Description"] = declared["Description"]
        found.append(one)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check(name: str, declared: Mapping[str, Any], text: str) -> None:
    kind = declared.get("Type")
    if kind is None:
        raise validation(f"Template format error: [/Parameters/{name}] Every Parameters object must contain a Type")
    if kind == "Number" and not _is_number(text):
        raise validation(f"Parameter '{name}' must be a number.")
    if "AllowedValues" in declared and text not in map(_text, declared["AllowedValues"]):
        raise _refused(name, declared, "must be one of AllowedValues")
    if "AllowedPattern" in declared and not _matches(name, str(declared["AllowedPattern"]), text):
        raise _refused(name, declared, f"must match pattern {declared['AllowedPattern']}")
    if len(text) < int(declared.get("MinLength", 0)):
        raise _refused(name, declared, f"must contain at least {declared['MinLength']} characters")
    if len(text) > int(declared.get("MaxLength", len(text))):
        raise _refused(name, declared, f"must contain at most {declared['MaxLength']} characters")
    if kind == "Number":
        _check_bounds(name, declared, float(text))


def _check_bounds(name: str, declared: Mapping[str, Any], number: float) -> None:
    if "MinValue" in declared and number < float(declared["MinValue"]):
        raise _refused(name, declared, f"must be a number not less than {declared['MinValue']}")
    if "MaxValue" in declared and number > float(declared["MaxValue"]):
        raise _refused(name, declared, f"must be a number not greater than {declared['MaxValue']}")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", text) is not None


def _matches(name: str, pattern: str, text: str) -> bool:
    import re2  # linear time: the pattern is the caller's

    try:
        return re2.fullmatch(pattern, text) is not None
    except re2.error:
        raise validation(f"Parameter '{name}' has an AllowedPattern that is no regular expression") from None


def _refused(name: str, declared: Mapping[str, Any], why: str) -> AwsError:
    if "ConstraintDescription" in declared:
        return validation(f"Parameter '{name}' failed to satisfy constraint: {declared['ConstraintDescription']}")
    return validation(f"Parameter '{name}' {why}")
