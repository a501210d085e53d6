"""The filters of DescribeParameters and GetParametersByPath: checked in AWS's words, then matched. Pure.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.ssm.model import Parameter, Version
from keyless.local.cloud.ssm.names import checked_path, invalid, is_below

Filter = Mapping[str, Any]

_PATH_OPTIONS = ("Recursive", "OneLevel")
_DESCRIBED_BY = ("Path", "Name", "Type", "KeyId", "Tier", "DataType")
_FOUND_BY = ("Type", "KeyId", "Label")
_VALUES = {
    "Type": ("String", "StringList", "SecureString"),
    "Tier": ("Standard", "Advanced", "Intelligent-Tiering"),
}
_COMMON = (
    'Filters for common parameters can\'t be prefixed with "aws" or "ssm" (case-insensitive). When using global '
    "parameters, please specify within a global namespace."
)


def check(filters: Sequence[Filter], *, by_path: bool) -> None:
    """Raise InvalidFilterKey, InvalidFilterOption, InvalidFilterValue or ValidationException."""
    seen: set[str] = set()
    for one in filters:
        key, option, values = str(one["Key"]), _option(one), list(one.get("Values") or ())
        valid = _FOUND_BY if by_path else _DESCRIBED_BY
        if not (key in valid or (key.startswith("tag:") and not by_path)):
            text = f"The following filter key is not valid: {key}. Valid filter keys include: [{', '.join(valid)}]."
            raise AwsError("InvalidFilterKey", text)
        if key in seen:
            text = (
                f"The following filter is duplicated in the request: {key}. A request can contain only one occurrence "
                "of a specific filter."
            )
            raise AwsError("InvalidFilterKey", text)
        seen.add(key)
        if not values and not key.startswith("tag:"):
            text = f"The following filter values are missing : null for filter key {key}."
            raise AwsError("InvalidFilterValue", text)
        _check_option(key, option)
        _check_values(key, values)


def version_matching(parameter: Parameter, filters: Sequence[Filter]) -> Version | None:
    """The version that all (checked) filters choose: a labelled one, else the last; None for none."""
    chosen = parameter.last
    for one in filters:
        if one["Key"] == "Label":
            labelled = [version for version in parameter.versions if set(version.labels) & set(one["Values"])]
            if not labelled:
                return None
            chosen = labelled[-1]
    return chosen if all(_matches(parameter, chosen, one) for one in filters) else None


def passes_old(parameter: Parameter, filters: Sequence[Filter]) -> bool:
    """The older ``Filters`` member: names by their beginning, the rest whole."""
    return all(
        _matches(parameter, parameter.last, {**one, "Option": _OLD_OPTIONS.get(str(one["Key"]))}) for one in filters
    )


_OLD_OPTIONS = {"Name": "BeginsWith"}


def _matches(parameter: Parameter, version: Version, one: Filter) -> bool:
    key, option, values = str(one["Key"]), _option(one), list(one.get("Values") or ())
    if key == "Label":
        return True
    if key == "Path":
        return any(is_below(parameter.name, value, deep=option == "Recursive") for value in values)
    if key.startswith("tag:"):
        found = parameter.tags.get(key.removeprefix("tag:"))
        return found is not None and (not values or _holds(found, option, values))
    if key == "Name" and option != "Contains":
        # With and without a leading slash a filter means the same.
        return _holds(_rooted(parameter.name), option, [_rooted(value) for value in values])
    texts = {"Name": parameter.name, "Type": version.type, "KeyId": version.key_id, "Tier": version.tier}
    return _holds((texts | {"DataType": version.data_type})[key], option, values)


def _holds(text: str, option: str, values: list[str]) -> bool:
    if option == "BeginsWith":
        return text.startswith(tuple(values))
    if option == "Contains":
        return any(value in text for value in values)
    return text in values


def _rooted(name: str) -> str:
    return "/" + name.lstrip("/")


def _option(one: Filter) -> str:
    return str(one.get("Option") or ("OneLevel" if one["Key"] == "Path" else "Equals"))


def _check_option(key: str, option: str) -> None:
    valid: tuple[str, ...] = ("BeginsWith", "Equals")
    if key == "Path":
        valid = _PATH_OPTIONS
    elif key == "Label":
        valid = ("Equals",)
    elif key == "Name":
        valid = ("BeginsWith", "Equals", "Contains")
    if option not in valid:
        text = f"The following filter option is not valid: {option}. Valid options include: [{', '.join(valid)}]."
        raise AwsError("InvalidFilterOption", text)


def _check_values(key: str, values: list[str]) -> None:
    for value in values:
        if key == "Path":
            if value.lower().startswith(("/aws", "/ssm")):
                raise invalid(_COMMON)
            checked_path(value)
        elif key in _VALUES and value not in _VALUES[key]:
            text = (
                f"The following filter value is not valid: {value}. Valid values include: [{', '.join(_VALUES[key])}]."
            )
            raise AwsError("InvalidFilterOption", text)
