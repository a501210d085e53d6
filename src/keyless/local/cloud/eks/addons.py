"""Addons. One has an effect: ``eks-pod-identity-agent``, which a fresh cluster has, as if the reader had created it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.authorise import resource_tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.cluster import VERSION, ClusterFacts, ClusterOperations
from keyless.local.cloud.eks.projection import AGENT, Projection
from keyless.local.cloud.eks.tags import checked
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Operation, anything

_KIND = "eks-addon"
_BOOT = "eks-addons-at-boot"
#: addon → versions, newest first; the first is the default
_CATALOGUE: dict[str, tuple[str, ...]] = {AGENT: ("v1.3.9-eksbuild.3", "v1.3.8-eksbuild.2")}


@dataclass(frozen=True, slots=True)
class Addon:
    """An addon that the cluster has."""

    name: str
    arn: str
    version: str
    created_at: float
    modified_at: float
    configuration: str = ""
    role_arn: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class Addons:
    """The operations on addons."""

    def __init__(
        self, database: Database, facts: ClusterFacts, cluster: ClusterOperations, projection: Projection, now: float
    ) -> None:
        self._database = database
        self._facts = facts
        self._cluster = cluster
        self._projection = projection
        if database.get("remembered", _BOOT) is None:
            with database.transaction():
                database.put("remembered", _BOOT, "done")
                self._save(self._made(AGENT, _CATALOGUE[AGENT][0], now))

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateAddon", self._create, self._on_cluster),
            Operation("DescribeAddon", self._describe, self._on_addon),
            Operation("ListAddons", self._list, self._on_cluster),
            Operation("UpdateAddon", self._update, self._on_addon),
            Operation("DeleteAddon", self._delete, self._on_addon),
            Operation("DescribeAddonVersions", self._versions, anything),
        )

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of an addon."""
        return next((addon.tags for addon in self._all() if addon.arn == arn), None)

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        """Write the tags of an addon."""
        for addon in self._all():
            if addon.arn == arn:
                self._save(replace(addon, tags=tags))

    def _on_cluster(self, call: Call) -> Target:
        return self._cluster.target(call, call.params["clusterName"])

    def _on_addon(self, call: Call) -> Target:
        found = self._get(call.params["addonName"])
        cluster, name = call.params["clusterName"], call.params["addonName"]
        arn = found.arn if found else call.arn(f"addon/{cluster}/{name}/*", service="eks")
        return Target(arn, keys=resource_tag_keys(found.tags if found else {}))

    def _made(self, name: str, version: str, now: float) -> Addon:
        facts = self._facts
        arn = f"arn:aws:eks:{facts.region}:{facts.account}:addon/{facts.name}/{name}/{uuid4()}"
        return Addon(name, arn, version, now, now)

    def _save(self, addon: Addon) -> None:
        self._database.put(_KIND, addon.name, addon)

    def _get(self, name: str) -> Addon | None:
        found = self._database.get(_KIND, name)
        return Addon(**found) if found else None

    def _all(self) -> list[Addon]:
        return [Addon(**found) for found in self._database.all(_KIND)]

    def _find(self, call: Call) -> Addon:
        self._cluster.check(call, call.params["clusterName"])
        name = call.params["addonName"]
        found = self._get(name)
        if found is None:
            text = f"No addon: {name} found in cluster: {self._facts.name}"
            raise AwsError("ResourceNotFoundException", text, status=404)
        return found

    async def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._cluster.check(call, params["clusterName"])
        name = params["addonName"]
        version = _checked_version(name, params.get("addonVersion"))
        if self._get(name):
            raise AwsError("ResourceInUseException", "Addon already exists.", status=409)
        addon = replace(
            self._made(name, version, call.now),
            configuration=params.get("configurationValues", ""),
            role_arn=params.get("serviceAccountRoleArn", ""),
            tags=checked(params.get("tags") or {}),
        )
        with self._database.transaction():
            self._save(addon)
            self._projection.want_agent(True)
        await self._projection.settle()
        return {"addon": self._shape(addon)}

    def _describe(self, call: Call) -> dict[str, Any]:
        return {"addon": self._shape(self._find(call))}

    def _list(self, call: Call) -> dict[str, Any]:
        self._cluster.check(call, call.params["clusterName"])
        return {"addons": [addon.name for addon in self._all()]}

    def _update(self, call: Call) -> dict[str, Any]:
        addon = self._find(call)
        changed = replace(
            addon,
            version=_checked_version(addon.name, call.params.get("addonVersion") or addon.version),
            configuration=call.params.get("configurationValues", addon.configuration),
            role_arn=call.params.get("serviceAccountRoleArn", addon.role_arn),
            modified_at=call.now,
        )
        self._save(changed)
        update = {
            "id": str(uuid4()),
            "status": "Successful",
            "type": "AddonUpdate",
            "params": [{"type": "AddonVersion", "value": changed.version}],
            "createdAt": call.now,
            "errors": [],
        }
        return {"update": update}

    async def _delete(self, call: Call) -> dict[str, Any]:
        addon = self._find(call)
        with self._database.transaction():
            self._database.remove(_KIND, addon.name)
            # With ``preserve`` its pods stay, and nobody looks after them any more.
            self._projection.want_agent(None if call.params.get("preserve") else False)
        await self._projection.settle()
        return {"addon": {**self._shape(addon), "status": "DELETING"}}

    def _versions(self, call: Call) -> dict[str, Any]:
        wanted, version = call.params.get("addonName"), call.params.get("kubernetesVersion", VERSION)
        if version != VERSION:
            return {"addons": []}
        return {"addons": [_offer(name) for name in _CATALOGUE if wanted in {None, name}]}

    def _shape(self, addon: Addon) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "addonName": addon.name,
            "clusterName": self._facts.name,
            "status": "ACTIVE",
            "addonVersion": addon.version,
            "health": {"issues": []},
            "addonArn": addon.arn,
            "createdAt": addon.created_at,
            "modifiedAt": addon.modified_at,
            "tags": addon.tags,
        }
        if addon.role_arn:
            fields["serviceAccountRoleArn"] = addon.role_arn
        if addon.configuration:
            fields["configurationValues"] = addon.configuration
        return fields


def _checked_version(name: str, version: str | None) -> str:
    if name not in _CATALOGUE:
        text = f"Addon {name} specified is not supported in {VERSION} kubernetes version"
        raise AwsError("InvalidParameterException", text, status=400)
    if version is not None and version not in _CATALOGUE[name]:
        text = f"Addon version specified is not supported: {version}"
        raise AwsError("InvalidParameterException", text, status=400)
    return version or _CATALOGUE[name][0]


def _offer(name: str) -> dict[str, Any]:
    versions = [
        {
            "addonVersion": version,
            "architecture": ["amd64", "arm64"],
            "computeTypes": ["ec2"],
            "compatibilities": [
                {"clusterVersion": VERSION, "platformVersions": ["*"], "defaultVersion": version == _CATALOGUE[name][0]}
            ],
            "requiresConfiguration": False,
            "requiresIamPermissions": False,
        }
        for version in _CATALOGUE[name]
    ]
    return {"addonName": name, "type": "security", "addonVersions": versions, "publisher": "eks", "owner": "aws"}
