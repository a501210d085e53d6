"""Operations that read: one parameter, several, by path; descriptions, history, tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.ssm import policies
from keyless.local.cloud.ssm.filters import check, passes_old, version_matching
from keyless.local.cloud.ssm.model import Parameter, Version, version_meant
from keyless.local.cloud.ssm.names import checked_path, invalid, is_below, readable, selected
from keyless.local.cloud.ssm.parameters import Parameters
from keyless.local.cloud.ssm.values import Values

_MOST_BY_PATH, _MOST_LISTED = 10, 50
_BAD_ID = "The resource ID isn't valid. Verify that you entered the correct ID and try again."
_BAD_TYPE = (
    "The resource type isn't valid. For example, if you are attempting to tag an EC2 instance, the instance must be a "
    "registered managed node."
)


class Reading:
    """One method for each operation."""

    def __init__(self, parameters: Parameters, values: Values) -> None:
        self._parameters = parameters
        self._values = values

    def get(self, call: Call) -> dict[str, Any]:
        return {"Parameter": self._selected(call, str(call.params["Name"]))}

    def get_many(self, call: Call) -> dict[str, Any]:
        found, unknown = [], []
        for name in dict.fromkeys(call.params["Names"]):
            try:
                found.append(self._selected(call, name))
            except AwsError as error:
                if error.code not in {"ParameterNotFound", "ParameterVersionNotFound"}:
                    raise
                unknown.append(name)
        return {"Parameters": found, "InvalidParameters": unknown}

    def get_by_path(self, call: Call) -> dict[str, Any]:
        path, deep = checked_path(str(call.params["Path"])), bool(call.params.get("Recursive"))
        filters = call.params.get("ParameterFilters") or ()
        check(filters, by_path=True)
        found = [
            (parameter, version)
            for parameter in self._parameters.all(call)
            if is_below(parameter.name, path, deep=deep) and (version := version_matching(parameter, filters))
        ]
        page, more = _page(call, found, _MOST_BY_PATH)
        # Only the page is decrypted.
        return {"Parameters": [self._shown(call, parameter, version) for parameter, version in page], **more}

    def describe(self, call: Call) -> dict[str, Any]:
        old, filters = call.params.get("Filters") or (), call.params.get("ParameterFilters") or ()
        if old and filters:
            raise invalid("You can use either Filters or ParameterFilters in a single request.")
        check(filters, by_path=False)
        found = [
            parameter
            for parameter in self._parameters.all(call)
            if passes_old(parameter, old) and version_matching(parameter, filters)
        ]
        page, more = _page(call, found, _MOST_LISTED)
        return {"Parameters": [_described(one, one.last) | {"ARN": one.arn} for one in page], **more}

    def history(self, call: Call) -> dict[str, Any]:
        parameter = self._parameters.existing(call, readable(str(call.params["Name"])))
        page, more = _page(call, parameter.versions, _MOST_LISTED)
        decrypt = bool(call.params.get("WithDecryption"))
        shown = [
            _described(parameter, version)
            | {"Value": self._values.shown(call, parameter, version, decrypt=decrypt), "Labels": list(version.labels)}
            for version in page
        ]
        return {"Parameters": shown, **more}

    def list_tags(self, call: Call) -> dict[str, Any]:
        tags = resource_of(self._parameters, call).tags
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}

    # Shared steps

    def _selected(self, call: Call, text: str) -> dict[str, Any]:
        name, selector = selected(text)
        parameter = self._parameters.existing(call, readable(name))
        shown = self._shown(call, parameter, version_meant(parameter, selector))
        return shown | {"Selector": f":{selector}"} if selector else shown

    def _shown(self, call: Call, parameter: Parameter, version: Version) -> dict[str, Any]:
        decrypt = bool(call.params.get("WithDecryption"))
        return {
            "Name": parameter.name,
            "Type": version.type,
            "Value": self._values.shown(call, parameter, version, decrypt=decrypt),
            "Version": version.number,
            "LastModifiedDate": datetime.fromtimestamp(version.modified, UTC),
            "ARN": parameter.arn,
            "DataType": version.data_type,
        }


def resource_of(parameters: Parameters, call: Call) -> Parameter:
    """The parameter that the tag operations mean; raises InvalidResourceType or InvalidResourceId."""
    if call.params["ResourceType"] != "Parameter":
        raise AwsError("InvalidResourceType", _BAD_TYPE)
    found = parameters.find(call, str(call.params["ResourceId"]))
    if found is None:
        raise AwsError("InvalidResourceId", _BAD_ID)
    return found


def _described(parameter: Parameter, version: Version) -> dict[str, Any]:
    """A version without its value; what was never set is left out."""
    texts = {"Description": version.description, "KeyId": version.key_id, "AllowedPattern": version.pattern}
    return {
        "Name": parameter.name,
        "Type": version.type,
        "LastModifiedDate": datetime.fromtimestamp(version.modified, UTC),
        "LastModifiedUser": version.user,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": policies.shown(version.policies),
        "DataType": version.data_type,
        **{name: text for name, text in texts.items() if text},
    }


def _page(call: Call, found: Sequence[Any], most: int) -> tuple[list[Any], dict[str, str]]:
    token = str(call.params.get("NextToken") or "0")
    if not is_digits(token):
        raise AwsError("InvalidNextToken", "The specified token isn't valid.")
    start, limit = int(token), min(int(call.params.get("MaxResults") or most), most)
    more = {"NextToken": str(start + limit)} if start + limit < len(found) else {}
    return list(found[start : start + limit]), more
