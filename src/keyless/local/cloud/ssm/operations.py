"""The operations of Parameter Store, as plain functions over the stored parameters."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.ssm.parameters import (
    ADVANCED_BYTES,
    MAX_VERSIONS,
    STANDARD_BYTES,
    Parameter,
    Parameters,
    arn_resource,
    plain,
    selected,
    valid_name,
    version_meant,
)
from keyless.policy import ContextValue


class Operations:
    """One method for each operation."""

    def __init__(self, parameters: Parameters, *, keys: KeysForServices) -> None:
        self._parameters = parameters
        self._keys = keys

    # Authorisation

    def target(self, call: Call) -> Target:
        return self._target(call, str(call.params["Name"]))

    def targets(self, call: Call) -> Sequence[Target]:
        return [self._target(call, name) for name in call.params["Names"]]

    def target_of_path(self, call: Call) -> Target:
        path = str(call.params["Path"])
        keys: dict[str, ContextValue] = {"ssm:Recursive": str(bool(call.params.get("Recursive"))).lower()}
        return Target(call.arn(arn_resource(path)), keys=keys)

    def target_of_resource(self, call: Call) -> Target:
        return self._target(call, str(call.params["ResourceId"]))

    def _target(self, call: Call, text: str) -> Target:
        name = plain(selected(text)[0])
        found = self._parameters.find(name)
        tags = found["tags"] if found else {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()}
        kind = "ResourceTag" if found else "RequestTag"
        keys: dict[str, ContextValue] = {f"aws:{kind}/{k}": v for k, v in tags.items()}
        return Target(call.arn(arn_resource(name)), keys=keys)

    # Reading

    def get(self, call: Call) -> dict[str, Any]:
        return {"Parameter": self._read(call, str(call.params["Name"]))}

    def get_many(self, call: Call) -> dict[str, Any]:
        found, invalid = [], []
        for name in call.params["Names"]:
            try:
                found.append(self._read(call, name))
            except AwsError as error:
                if error.code not in {"ParameterNotFound", "ParameterVersionNotFound"}:
                    raise
                invalid.append(name)
        return {"Parameters": found, "InvalidParameters": invalid}

    def get_by_path(self, call: Call) -> dict[str, Any]:
        path = str(call.params["Path"])
        if not path.startswith("/"):
            raise AwsError("ValidationException", f"The parameter path must begin with a slash; found {path!r}")
        prefix = path if path.endswith("/") else f"{path}/"
        deep = bool(call.params.get("Recursive"))
        found = [
            p
            for p in self._parameters.all()
            if p["name"].startswith(prefix) and (deep or "/" not in p["name"][len(prefix) :])
        ]
        shown, more = _paged(call, found, 10)
        return {"Parameters": [self._shown(call, p, p["versions"][-1]) for p in shown], **more}

    def describe(self, call: Call) -> dict[str, Any]:
        found = [
            p for p in self._parameters.all() if all(_matches(p, f) for f in call.params.get("ParameterFilters") or ())
        ]
        shown, more = _paged(call, found, 50)
        return {"Parameters": [self._listed(call, p, p["versions"][-1]) for p in shown], **more}

    def history(self, call: Call) -> dict[str, Any]:
        parameter = self._existing(str(call.params["Name"]))
        shown, more = _paged(call, parameter["versions"], 50)
        listed = []
        for version in shown:
            value = self._shown(call, parameter, version)["Value"]
            listed.append(self._listed(call, parameter, version) | {"Value": value, "Labels": version["labels"]})
        return {"Parameters": listed, **more}

    def list_tags(self, call: Call) -> dict[str, Any]:
        tags = self._resource(call)["tags"]
        return {"TagList": [{"Key": k, "Value": v} for k, v in tags.items()]}

    # Writing

    def put(self, call: Call) -> dict[str, Any]:
        params, name = call.params, valid_name(str(call.params["Name"]))
        existing = self._parameters.find(name)
        if existing is not None and not params.get("Overwrite"):
            text = (
                "The parameter already exists. To overwrite this value, set the overwrite option in the request "
                "to true."
            )
            raise AwsError("ParameterAlreadyExists", text)
        last = existing["versions"][-1] if existing else {}
        kind = params.get("Type") or last.get("type")
        if kind is None:
            text = "A parameter type is required when you create a parameter."
            raise AwsError("ValidationException", text)
        tier = "Advanced" if params.get("Tier") == "Advanced" else "Standard"
        limit = ADVANCED_BYTES if tier == "Advanced" else STANDARD_BYTES
        if len(params["Value"].encode()) > limit:
            text = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
            raise AwsError("ValidationException", text)
        value, key_id = params["Value"], ""
        if kind == "SecureString":
            key_id = params.get("KeyId") or last.get("keyId") or "alias/aws/ssm"
            context = {"PARAMETER_ARN": call.arn(arn_resource(name))}
            value = b64encode(self._keys.seal(call, key_id, value.encode(), context)).decode()
        version = {
            "number": last.get("number", 0) + 1,
            "type": kind,
            "value": value,
            "keyId": key_id,
            "description": params.get("Description") or last.get("description", ""),
            "tier": tier,
            "modified": call.now,
            "user": call.caller.arn,
            "labels": [],
        }
        parameter: Parameter = existing or {
            "name": name,
            "tags": {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()},
            "versions": [],
        }
        parameter["versions"] = [*parameter["versions"], version][-MAX_VERSIONS:]
        self._parameters.keep(parameter)
        return {"Version": version["number"], "Tier": tier}

    def delete(self, call: Call) -> None:
        self._parameters.forget(self._existing(str(call.params["Name"])))

    def delete_many(self, call: Call) -> dict[str, Any]:
        done, invalid = [], []
        for name in call.params["Names"]:
            found = self._parameters.find(name)
            if found is None:
                invalid.append(name)
                continue
            self._parameters.forget(found)
            done.append(name)
        return {"DeletedParameters": done, "InvalidParameters": invalid}

    def label(self, call: Call) -> dict[str, Any]:
        parameter = self._existing(str(call.params["Name"]))
        wanted = call.params.get("ParameterVersion")
        version = version_meant(parameter, str(wanted) if wanted else "")
        labels = list(call.params["Labels"])
        for other in parameter["versions"]:
            # A label is on one version: it moves.
            other["labels"] = [label for label in other["labels"] if label not in labels]
        version["labels"] = [*version["labels"], *labels]
        self._parameters.keep(parameter)
        return {"InvalidLabels": [], "ParameterVersion": version["number"]}

    def add_tags(self, call: Call) -> None:
        parameter = self._resource(call)
        parameter["tags"] |= {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
        self._parameters.keep(parameter)

    def remove_tags(self, call: Call) -> None:
        parameter = self._resource(call)
        parameter["tags"] = {k: v for k, v in parameter["tags"].items() if k not in call.params["TagKeys"]}
        self._parameters.keep(parameter)

    # Shared steps

    def _existing(self, name: str) -> Parameter:
        found = self._parameters.find(name)
        if found is None:
            # AWS sends this error without a text.
            raise AwsError("ParameterNotFound", "")
        return found

    def _resource(self, call: Call) -> Parameter:
        if call.params["ResourceType"] != "Parameter":
            raise AwsError("InvalidResourceType", "")
        found = self._parameters.find(str(call.params["ResourceId"]))
        if found is None:
            raise AwsError("InvalidResourceId", "")
        return found

    def _read(self, call: Call, text: str) -> dict[str, Any]:
        name, selector = selected(text)
        parameter = self._existing(name)
        shown = self._shown(call, parameter, version_meant(parameter, selector))
        return shown | {"Selector": f":{selector}"} if selector else shown

    def _shown(self, call: Call, parameter: Parameter, version: dict[str, Any]) -> dict[str, Any]:
        arn, value = call.arn(arn_resource(parameter["name"])), version["value"]
        if version["type"] == "SecureString" and call.params.get("WithDecryption"):
            value = self._keys.open(call, b64decode(value), {"PARAMETER_ARN": arn}).decode()
        return {
            "Name": parameter["name"],
            "Type": version["type"],
            "Value": value,
            "Version": version["number"],
            "LastModifiedDate": datetime.fromtimestamp(version["modified"], UTC),
            "ARN": arn,
            "DataType": "text",
        }

    def _listed(self, call: Call, parameter: Parameter, version: dict[str, Any]) -> dict[str, Any]:
        shown = self._shown(call, parameter, version | {"type": "String"})
        listed = {k: v for k, v in shown.items() if k != "Value"}
        texts = {"Description": version["description"], "KeyId": version["keyId"]}
        return listed | {
            "Type": version["type"],
            "LastModifiedUser": version["user"],
            "Tier": version["tier"],
            "Policies": [],
            **{k: v for k, v in texts.items() if v},
        }


def _paged(call: Call, found: list[Any], most: int) -> tuple[list[Any], dict[str, str]]:
    try:
        start = int(call.params.get("NextToken") or 0)
    except ValueError:
        raise AwsError("InvalidNextToken", "The specified token isn't valid.") from None
    limit = min(int(call.params.get("MaxResults") or most), most)
    more = {"NextToken": str(start + limit)} if start + limit < len(found) else {}
    return found[start : start + limit], more


def _matches(parameter: Parameter, condition: dict[str, Any]) -> bool:
    key, option, values = condition["Key"], condition.get("Option", "Equals"), condition.get("Values") or []
    if key.startswith("tag:"):
        found = parameter["tags"].get(key.removeprefix("tag:"))
        return found is not None and (not values or found in values)
    if key == "Path":
        starts = [v if v.endswith("/") else f"{v}/" for v in values]
        deep = option == "Recursive"
        return any(parameter["name"].startswith(s) and (deep or "/" not in parameter["name"][len(s) :]) for s in starts)
    last = parameter["versions"][-1]
    text = {"Name": parameter["name"], "Type": last["type"], "KeyId": last["keyId"], "Tier": last["tier"]}.get(key, "")
    tests = {"Equals": text.__eq__, "BeginsWith": text.startswith, "Contains": text.__contains__}
    return any(tests.get(option, text.__eq__)(value) for value in values)
