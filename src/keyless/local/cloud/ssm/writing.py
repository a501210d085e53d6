"""Operations that write: PutParameter with all its rules, deletion, labels, tags."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import re2

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.ssm import policies
from keyless.local.cloud.ssm.model import SECURE, TEXT, Parameter, Version, version_meant, with_labels, with_version
from keyless.local.cloud.ssm.names import checked, invalid, is_label, refuse_long, resource
from keyless.local.cloud.ssm.parameters import Parameters
from keyless.local.cloud.ssm.reading import resource_of
from keyless.local.cloud.ssm.values import Values, tier_of

_DATA_TYPES = (TEXT, "aws:ec2:image", "aws:ssm:integration")
_MOST_TAGS = 50


class Writing:
    """One method for each operation."""

    def __init__(self, parameters: Parameters, values: Values) -> None:
        self._parameters = parameters
        self._values = values

    def put(self, call: Call) -> dict[str, Any]:
        name = checked(str(call.params["Name"]))
        arn = call.arn(resource(name))
        refuse_long(arn)
        _refuse_value(str(call.params["Value"]))
        _refuse_overwriting_tags(call)
        existing = self._parameters.find(call, name)
        if existing is not None and not call.params.get("Overwrite"):
            text = (
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to "
                "true."
            )
            raise AwsError("ParameterAlreadyExists", text)
        version = self._version(call, arn, existing.last if existing else None)
        if existing is None:
            tags = _tags(call.params.get("Tags") or (), {})
            parameter = Parameter(name, arn, (version,), tags)
        else:
            parameter = with_version(existing, version)
        self._parameters.keep(replace(parameter, expires=policies.expires(version.policies)))
        return {"Version": version.number, "Tier": version.tier}

    def _version(self, call: Call, arn: str, last: Version | None) -> Version:
        """The version that a request makes; what it does not say stays as in the last one."""
        params, value = call.params, str(call.params["Value"])
        kind = params.get("Type") or (last.type if last else None)
        if kind is None:
            raise invalid("A parameter type is required when you create a parameter.")
        data_type = str(params.get("DataType") or (last.data_type if last else TEXT))
        if data_type not in _DATA_TYPES:
            text = f"The following data type is not supported: {data_type} (Data type names are all lowercase.)"
            raise invalid(text)
        pattern = str(params.get("AllowedPattern") or (last.pattern if last else ""))
        _refuse_mismatch(pattern, value)
        rules = policies.checked(params["Policies"]) if params.get("Policies") else last.policies if last else ""
        tier = tier_of(params.get("Tier"), value, last, policies=bool(rules))
        stored = self._values.stored(call, arn, value, secure=kind == SECURE, tier=tier)
        described = params.get("Description")
        return Version(
            number=last.number + 1 if last else 1,
            type=str(kind),
            value=stored.value,
            modified=call.now,
            user=call.caller.arn,
            key_id=stored.key_id,
            description=str(described) if described is not None else last.description if last else "",
            tier=tier,
            pattern=pattern,
            data_type=data_type,
            policies=rules,
            data_key=stored.data_key,
        )

    def delete(self, call: Call) -> None:
        self._parameters.forget(self._parameters.existing(call, str(call.params["Name"])))

    def delete_many(self, call: Call) -> dict[str, Any]:
        done, unknown = [], []
        for name in dict.fromkeys(call.params["Names"]):
            found = self._parameters.find(call, name)
            if found is None:
                unknown.append(name)
                continue
            self._parameters.forget(found)
            done.append(name)
        return {"DeletedParameters": done, "InvalidParameters": unknown}

    # Labels

    def label(self, call: Call) -> dict[str, Any]:
        parameter = self._parameters.existing(call, str(call.params["Name"]))
        version = version_meant(parameter, str(call.params.get("ParameterVersion") or ""))
        wanted = tuple(dict.fromkeys(call.params["Labels"]))
        good = tuple(label for label in wanted if is_label(label))
        self._parameters.keep(with_labels(parameter, version.number, good))
        return {"InvalidLabels": [label for label in wanted if label not in good], "ParameterVersion": version.number}

    def unlabel(self, call: Call) -> dict[str, Any]:
        parameter = self._parameters.existing(call, str(call.params["Name"]))
        version = version_meant(parameter, str(call.params["ParameterVersion"]))
        wanted = tuple(dict.fromkeys(call.params["Labels"]))
        gone = [label for label in wanted if label in version.labels]
        kept = replace(version, labels=tuple(label for label in version.labels if label not in gone))
        versions = tuple(kept if one is version else one for one in parameter.versions)
        self._parameters.keep(replace(parameter, versions=versions))
        return {"RemovedLabels": gone, "InvalidLabels": [label for label in wanted if label not in gone]}

    # Tags

    def add_tags(self, call: Call) -> None:
        parameter = resource_of(self._parameters, call)
        self._parameters.keep(replace(parameter, tags=_tags(call.params["Tags"], dict(parameter.tags))))

    def remove_tags(self, call: Call) -> None:
        parameter, gone = resource_of(self._parameters, call), set(call.params["TagKeys"])
        self._parameters.keep(replace(parameter, tags={k: v for k, v in parameter.tags.items() if k not in gone}))


def _refuse_value(value: str) -> None:
    if not value:
        raise invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1."
        )
    if "{{" in value and "}}" in value:
        raise invalid('Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.')


def _refuse_overwriting_tags(call: Call) -> None:
    if call.params.get("Overwrite") and call.params.get("Tags"):
        raise invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
            "remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
            "RemoveTagsFromResource."
        )


def _refuse_mismatch(pattern: str, value: str) -> None:
    """Users' patterns run without backtracking; they must hold for the whole value."""
    if not pattern:
        return
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        text = f"The request does not meet the regular expression requirement: {pattern} is no valid pattern."
        raise AwsError("InvalidAllowedPatternException", text) from None
    if not compiled.fullmatch(value):
        text = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
        raise AwsError("ParameterPatternMismatchException", text)


def _tags(wanted: Any, had: dict[str, str]) -> dict[str, str]:
    tags = {**had, **{tag["Key"]: tag["Value"] for tag in wanted}}
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid("Tag keys that begin with aws: are reserved for AWS.")
    if len(tags) > _MOST_TAGS:
        raise AwsError("TooManyTagsError", f"The Targets parameter includes too many tags: at most {_MOST_TAGS}.")
    return tags
