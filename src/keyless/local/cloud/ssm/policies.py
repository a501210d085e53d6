"""Parameter policies of advanced parameters: checked when they are put; Expiration removes, the others only notify.

https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cloud.errors import AwsError

_MOST = 10
#: the attributes of each type, and which of them it must have
_ATTRIBUTES = {
    "Expiration": {"Timestamp"},
    "ExpirationNotification": {"Before", "Unit"},
    "NoChangeNotification": {"After", "Unit"},
}
_UNITS = {"Days", "Hours"}


def checked(text: str) -> str:
    """The policies (a JSON list), or empty for an empty list; raises what PutParameter answers for others."""
    try:
        found = json.loads(text)
    except ValueError:
        raise _bad_attribute("the policies are no JSON list") from None
    if not isinstance(found, list):
        raise _bad_attribute("the policies are no JSON list")
    if len(found) > _MOST:
        text = (
            f"You specified more than the maximum number of allowed policies for the parameter. The maximum is {_MOST}."
        )
        raise AwsError("PoliciesLimitExceededException", text)
    for policy in found:
        _check(policy)
    kinds = [policy["Type"] for policy in found]
    if kinds.count("Expiration") > 1 or ("ExpirationNotification" in kinds and "Expiration" not in kinds):
        text = (
            "There is a conflict in the policies specified for this parameter. You can't, for example, specify two "
            "Expiration policies for a parameter. Review your policies, and try again."
        )
        raise AwsError("IncompatiblePolicyException", text)
    return text if found else ""


def expires(text: str) -> float | None:
    """When the policies end the parameter."""
    for policy in json.loads(text) if text else ():
        if policy["Type"] == "Expiration":
            return _moment(policy["Attributes"]["Timestamp"])
    return None


def shown(text: str) -> list[dict[str, Any]]:
    """The policies as DescribeParameters and GetParameterHistory list them."""
    return [
        {"PolicyText": json.dumps(policy), "PolicyType": policy["Type"], "PolicyStatus": "Pending"}
        for policy in (json.loads(text) if text else ())
    ]


def _check(policy: Any) -> None:
    kind = policy.get("Type") if isinstance(policy, dict) else None
    if kind not in _ATTRIBUTES:
        text = (
            "The policy type isn't supported. Parameter Store supports the following policy types: Expiration, "
            "ExpirationNotification, and NoChangeNotification."
        )
        raise AwsError("InvalidPolicyTypeException", text)
    attributes = policy.get("Attributes")
    if not isinstance(attributes, dict) or set(attributes) != _ATTRIBUTES[kind]:
        raise _bad_attribute(f"{kind} has the attributes {', '.join(sorted(_ATTRIBUTES[kind]))}")
    if "Unit" in attributes and attributes["Unit"] not in _UNITS:
        raise _bad_attribute("Unit is Days or Hours")
    for number in ("Before", "After"):
        if number in attributes and not (is_digits(str(attributes[number])) and int(attributes[number]) > 0):
            raise _bad_attribute(f"{number} is a number above 0")
    if kind == "Expiration" and _moment(attributes["Timestamp"]) is None:
        raise _bad_attribute("Timestamp is an ISO 8601 instant, such as 2030-12-02T21:34:33.000Z")


def _moment(timestamp: Any) -> float | None:
    try:
        found = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def _bad_attribute(why: str) -> AwsError:
    return AwsError("InvalidPolicyAttributeException", f"A policy attribute or its value is invalid: {why}.")
