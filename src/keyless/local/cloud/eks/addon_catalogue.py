"""The addons that there are, and what they can be told.

``eks-pod-identity-agent`` runs as a DaemonSet. ``vpc-cni`` takes part in the API alone: pods here have addresses of
loopback and need no network plugin, but tools create it with a role of its own for its service account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.local.cloud.eks.projection import AGENT
from keyless.local.cloud.eks.versions import VERSION
from keyless.local.cloud.errors import AwsError

NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class Offer:
    """An addon: its versions, newest first (the first is the default), and the roles that it can be given."""

    name: str
    type: str
    versions: tuple[str, ...]
    #: its service accounts that may have a role → the managed policy that is recommended for it
    accounts: Mapping[str, str]
    settings: tuple[str, ...]

    @property
    def schema(self) -> str:
        """The JSON schema of ``configurationValues``."""
        known = {name: {"type": "object"} for name in self.settings}
        schema = {"$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "properties": known}
        return orjson.dumps({**schema, "additionalProperties": False}).decode()


CATALOGUE: Mapping[str, Offer] = {
    offer.name: offer
    for offer in (
        Offer(
            AGENT,
            "security",
            ("v1.3.9-eksbuild.3", "v1.3.8-eksbuild.2"),
            {},
            ("affinity", "agent", "nodeSelector", "podAnnotations", "resources", "tolerations"),
        ),
        Offer(
            "vpc-cni",
            "networking",
            ("v1.20.4-eksbuild.2",),
            {"aws-node": "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"},
            ("affinity", "env", "init", "nodeAgent", "resources", "tolerations"),
        ),
    )
}


def offer(name: str) -> Offer:
    """The addon of that name; raises InvalidParameter."""
    if name not in CATALOGUE:
        raise _invalid(f"Addon {name} specified is not supported in {VERSION} kubernetes version")
    return CATALOGUE[name]


def checked_version(name: str, version: str | None) -> str:
    """The version asked for, or the default; raises InvalidParameter for one that there is not."""
    found = offer(name)
    if version is not None and version not in found.versions:
        raise _invalid(f"Addon version specified is not supported: {version}")
    return version or found.versions[0]


def checked_configuration(name: str, text: str) -> str:
    """``configurationValues`` as given (JSON or YAML), unless the addon knows no such setting."""
    if not text:
        return ""
    import yaml

    refused = "ConfigurationValue provided in request is not supported: "
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise _invalid(f"{refused}it is neither JSON nor YAML") from None
    if not isinstance(found, dict):
        raise _invalid(f"{refused}Json schema validation failed with error: [$: is not an object]")
    unknown = [f"$.{key}: is not defined in the schema" for key in found if key not in offer(name).settings]
    if unknown:
        what = f"Json schema validation failed with error: [{', '.join(unknown)} and the schema does not allow more]"
        raise _invalid(refused + what)
    return text


def described(found: Offer) -> dict[str, Any]:
    """The addon as DescribeAddonVersions lists it."""
    versions = [
        {
            "addonVersion": version,
            "architecture": ["amd64", "arm64"],
            "computeTypes": ["ec2"],
            "compatibilities": [
                {"clusterVersion": VERSION, "platformVersions": ["*"], "defaultVersion": version == found.versions[0]}
            ],
            "requiresConfiguration": False,
            "requiresIamPermissions": bool(found.accounts),
        }
        for version in found.versions
    ]
    return {
        "addonName": found.name,
        "type": found.type,
        "addonVersions": versions,
        "publisher": "eks",
        "owner": "aws",
        "defaultNamespace": NAMESPACE,
    }


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text, status=400)
