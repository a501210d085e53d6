"""What an operation of Parameter Store touches, for authorisation: parameters by ARN, and the condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""

from __future__ import annotations

from collections.abc import Sequence

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.ssm.names import resource, selected
from keyless.local.cloud.ssm.parameters import Parameters
from keyless.policy import ContextValue


class Targets:
    """Targets over the stored parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def parameter(self, call: Call) -> Target:
        """The parameter that ``Name`` means."""
        return self._of(call, str(call.params["Name"]))

    def parameters(self, call: Call) -> Sequence[Target]:
        """All of ``Names``; one that is refused fails the whole call, as on AWS."""
        return [self._of(call, name) for name in call.params["Names"]]

    def path(self, call: Call) -> Target:
        """The path: who may read it may read everything below."""
        recursive = {"ssm:Recursive": str(bool(call.params.get("Recursive"))).lower()}
        return Target(call.arn(resource(str(call.params["Path"]))), keys=recursive)

    def tagged(self, call: Call) -> Target:
        """The resource of the tag operations."""
        return self._of(call, str(call.params["ResourceId"]))

    def written(self, call: Call) -> list[Target]:
        """PutParameter: the parameter; tags need their own permission."""
        target = self._of(call, str(call.params["Name"]))
        keys = dict(target.keys) | {"ssm:Overwrite": str(bool(call.params.get("Overwrite"))).lower()}
        if call.params.get("Policies"):
            keys["ssm:Policies"] = str(call.params["Policies"])
        actions = ("", "ssm:AddTagsToResource") if call.params.get("Tags") else ("",)
        return [Target(target.resource, action, keys=keys) for action in actions]

    def _of(self, call: Call, text: str) -> Target:
        name, _ = selected(text)
        found = self._parameters.find(call, name)
        keys: dict[str, ContextValue] = tag_keys({tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()})
        if call.params.get("TagKeys"):
            keys["aws:TagKeys"] = tuple(call.params["TagKeys"])
        if found is not None:
            keys |= resource_tag_keys(dict(found.tags))
            keys |= {f"ssm:resourceTag/{key}": value for key, value in found.tags.items()}
        return Target(name if name.startswith("arn:") else call.arn(resource(name)), keys=keys)
