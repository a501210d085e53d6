"""What an operation of Secrets Manager touches, for authorisation: the secret, its policy, and the condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.secretsmanager.secrets import Secrets
from keyless.policy import ContextValue

#: members of requests that are condition keys as they are
_MEMBERS = {
    "Name": "Name",
    "Description": "Description",
    "KmsKeyId": "KmsKeyId",
    "VersionId": "VersionId",
    "VersionStage": "VersionStage",
    "RotationLambdaARN": "RotationLambdaARN",
    "RecoveryWindowInDays": "RecoveryWindowInDays",
}
_FLAGS = ("ForceDeleteWithoutRecovery", "BlockPublicPolicy", "ForceOverwriteReplicaSecret")


class Targets:
    """Targets over the stored secrets."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def secret(self, call: Call) -> Target:
        """The secret that ``SecretId`` means."""
        return self.of(call, str(call.params["SecretId"]))

    def secret_if_named(self, call: Call) -> Target:
        """The secret that ``SecretId`` means, where there is one."""
        return self.secret(call) if call.params.get("SecretId") else Target("*")

    def of(self, call: Call, secret_id: str, action: str = "") -> Target:
        """A secret; one that is not there is judged by the ARN its name would have."""
        found = self._secrets.find(secret_id, call.now)
        keys: dict[str, ContextValue] = {**_request_keys(call.params)}
        keys["secretsmanager:SecretId"] = found.arn if found else secret_id
        if found is None:
            arn = secret_id if secret_id.startswith("arn:") else call.arn(f"secret:{secret_id}")
            return Target(arn, action, keys=keys, label=secret_id)
        keys |= resource_tag_keys(dict(found.tags))
        keys |= {f"secretsmanager:ResourceTag/{name}": value for name, value in found.tags.items()}
        keys["secretsmanager:SecretPrimaryRegion"] = call.region
        policy = ResourcePolicy(found.policy, "secret policy") if found.policy else None
        return Target(found.arn, action, keys=keys, policy=policy, label=secret_id)

    def new_secret(self, call: Call) -> list[Target]:
        """A secret that is about to be: its ARN without the random end. Tags need their own permission."""
        name = str(call.params["Name"])
        keys = _request_keys(call.params)
        actions = ("", "secretsmanager:TagResource") if call.params.get("Tags") else ("",)
        return [Target(call.arn(f"secret:{name}"), action, keys=keys, label=name) for action in actions]


def _request_keys(params: Mapping[str, Any]) -> dict[str, ContextValue]:
    keys: dict[str, ContextValue] = {
        f"secretsmanager:{key}": str(params[member]) for member, key in _MEMBERS.items() if params.get(member)
    }
    keys |= {f"secretsmanager:{flag}": str(bool(params[flag])).lower() for flag in _FLAGS if flag in params}
    keys |= tag_keys({tag["Key"]: tag.get("Value", "") for tag in params.get("Tags") or ()})
    if params.get("TagKeys"):
        keys["aws:TagKeys"] = tuple(params["TagKeys"])
    return keys
