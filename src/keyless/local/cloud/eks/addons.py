"""Addons. A fresh cluster has the agent of Pod Identity, as if the reader had created it.

An addon's pod identity associations are its own: made, changed and removed with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks import addon_catalogue as catalogue
from keyless.local.cloud.eks.associations import Associations, OfAddon, passed
from keyless.local.cloud.eks.cluster import ClusterFacts, ClusterOperations
from keyless.local.cloud.eks.paging import page
from keyless.local.cloud.eks.projection import AGENT, Projection
from keyless.local.cloud.eks.tags import checked
from keyless.local.cloud.eks.versions import VERSION
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Operation, anything

_KIND = "eks-addon"
_UPDATES = "eks-update"
_BOOT = "eks-addons-at-boot"


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
        self,
        database: Database,
        facts: ClusterFacts,
        cluster: ClusterOperations,
        associations: Associations,
        projection: Projection,
    ) -> None:
        self._database = database
        self._facts = facts
        self._cluster = cluster
        self._associations = associations
        self._projection = projection

    def make_first(self, now: float) -> None:
        """The agent, once in the life of a state: deleted, it stays away."""
        if self._database.get("remembered", _BOOT) is None:
            with self._database.transaction():
                self._database.put("remembered", _BOOT, "done")
                self._save(self._made(AGENT, catalogue.checked_version(AGENT, None), now))

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateAddon", self._create, self._creating),
            Operation("DescribeAddon", self._describe, self._on_addon),
            Operation("ListAddons", self._list, self._on_cluster),
            Operation("UpdateAddon", self._update, self._updating),
            Operation("DeleteAddon", self._delete, self._on_addon),
            Operation("DescribeAddonVersions", self._versions, anything),
            Operation("DescribeAddonConfiguration", self._configuration, anything),
            Operation("DescribeUpdate", self._describe_update, self._on_update),
            Operation("ListUpdates", self._list_updates, self._on_update),
        )

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of an addon."""
        return next((addon.tags for addon in self._all() if addon.arn == arn), None)

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        """Write the tags of an addon."""
        for addon in self._all():
            if addon.arn == arn:
                self._save(replace(addon, tags=tags))

    # Authorisation ------------------------------------------------------------------------------------------------

    def _on_cluster(self, call: Call) -> Target:
        return self._cluster.target(call, call.params["clusterName"])

    def _on_addon(self, call: Call) -> Target:
        found = self._get(call.params["addonName"])
        cluster, name = call.params["clusterName"], call.params["addonName"]
        arn = found.arn if found else call.arn(f"addon/{cluster}/{name}/*", service="eks")
        return Target(arn, keys=resource_tag_keys(found.tags if found else {}))

    def _on_update(self, call: Call) -> Target:
        params = call.params
        if "addonName" not in params:
            return self._cluster.target(call, params["name"])
        return self._on_addon(replace(call, params={**params, "clusterName": params["name"]}))

    def _creating(self, call: Call) -> list[Target]:
        target = self._on_cluster(call)
        asked = tag_keys(dict(call.params.get("tags") or {}))
        return [replace(target, keys={**target.keys, **asked}), *_passed(call)]

    def _updating(self, call: Call) -> list[Target]:
        return [self._on_addon(call), *_passed(call)]

    # Operations ---------------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._cluster.check(call, params["clusterName"])
        name = params["addonName"]
        version = catalogue.checked_version(name, params.get("addonVersion"))
        if self._get(name):
            raise AwsError("ResourceInUseException", "Addon already exists.", status=409)
        addon = replace(
            self._made(name, version, call.now),
            configuration=catalogue.checked_configuration(name, params.get("configurationValues", "")),
            role_arn=params.get("serviceAccountRoleArn", ""),
            tags=checked(params.get("tags") or {}),
        )
        with self._database.transaction():
            self._save(addon)
            self._associate(addon, params.get("podIdentityAssociations") or (), call.now)
            if name == AGENT:
                self._projection.want_agent(True)
        await self._projection.settle()
        return {"addon": self._shape(addon)}

    def _associate(self, addon: Addon, asked: Sequence[Mapping[str, str]], now: float) -> None:
        known = catalogue.offer(addon.name).accounts
        for one in asked:
            if one["serviceAccount"] not in known:
                text = f"Service account {one['serviceAccount']} is not one of addon {addon.name} that can have a role"
                raise AwsError("InvalidParameterException", text, status=400)
        wanted = [OfAddon(addon.arn, catalogue.NAMESPACE, one["serviceAccount"], one["roleArn"]) for one in asked]
        self._associations.replace_owned(addon.arn, wanted, now)

    def _describe(self, call: Call) -> dict[str, Any]:
        return {"addon": self._shape(self._find(call))}

    def _list(self, call: Call) -> dict[str, Any]:
        self._cluster.check(call, call.params["clusterName"])
        return page("addons", [addon.name for addon in self._all()], call.params)

    async def _update(self, call: Call) -> dict[str, Any]:
        addon, params = self._find(call), call.params
        configuration = params.get("configurationValues", addon.configuration)
        changed = replace(
            addon,
            version=catalogue.checked_version(addon.name, params.get("addonVersion") or addon.version),
            configuration=catalogue.checked_configuration(addon.name, configuration),
            role_arn=params.get("serviceAccountRoleArn", addon.role_arn),
            modified_at=call.now,
        )
        update = _update_of(call, changed)
        with self._database.transaction():
            self._save(changed)
            if "podIdentityAssociations" in params:
                self._associate(changed, params["podIdentityAssociations"] or (), call.now)
            self._database.put(_UPDATES, update["id"], {**update, "addon": addon.name})
        await self._projection.settle()
        return {"update": update}

    async def _delete(self, call: Call) -> dict[str, Any]:
        addon = self._find(call)
        shape = self._shape(addon)
        with self._database.transaction():
            self._database.remove(_KIND, addon.name)
            self._associations.replace_owned(addon.arn, (), call.now)
            if addon.name == AGENT:
                # With ``preserve`` its pods stay, and nobody looks after them any more.
                self._projection.want_agent(None if call.params.get("preserve") else False)
        await self._projection.settle()
        return {"addon": {**shape, "status": "DELETING"}}

    def _versions(self, call: Call) -> dict[str, Any]:
        wanted, version = call.params.get("addonName"), call.params.get("kubernetesVersion", VERSION)
        offers = catalogue.CATALOGUE.values() if version == VERSION else ()
        return page("addons", [catalogue.described(one) for one in offers if wanted in {None, one.name}], call.params)

    def _configuration(self, call: Call) -> dict[str, Any]:
        name, version = call.params["addonName"], call.params["addonVersion"]
        found = catalogue.offer(name)
        catalogue.checked_version(name, version)
        accounts = [
            {"serviceAccount": account, "recommendedManagedPolicies": [policy]}
            for account, policy in found.accounts.items()
        ]
        return {
            "addonName": name,
            "addonVersion": version,
            "configurationSchema": found.schema,
            "podIdentityConfiguration": accounts,
        }

    def _describe_update(self, call: Call) -> dict[str, Any]:
        self._cluster.check(call, call.params["name"])
        found = self._database.get(_UPDATES, call.params["updateId"])
        if found is None or found["addon"] != call.params.get("addonName"):
            raise AwsError(
                "ResourceNotFoundException", f"No update found for ID: {call.params['updateId']}", status=404
            )
        return {"update": {key: value for key, value in found.items() if key != "addon"}}

    def _list_updates(self, call: Call) -> dict[str, Any]:
        self._cluster.check(call, call.params["name"])
        found = [one["id"] for one in self._database.all(_UPDATES) if one["addon"] == call.params.get("addonName")]
        return page("updateIds", found, call.params)

    # State --------------------------------------------------------------------------------------------------------

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
            "namespace": catalogue.NAMESPACE,
        }
        if addon.role_arn:
            fields["serviceAccountRoleArn"] = addon.role_arn
        if addon.configuration:
            fields["configurationValues"] = addon.configuration
        if owned := self._associations.owned_by(addon.arn):
            fields["podIdentityAssociations"] = [one.arn for one in owned]
        return fields


def _passed(call: Call) -> list[Target]:
    """The roles that a call hands to EKS for the addon's service accounts."""
    params = call.params
    roles = [one["roleArn"] for one in params.get("podIdentityAssociations") or ()]
    targets = [target for role in roles for target in passed(role)]
    if role := params.get("serviceAccountRoleArn"):
        targets.append(Target(role, action="iam:PassRole", keys={"iam:PassedToService": "eks.amazonaws.com"}))
    return targets


def _update_of(call: Call, addon: Addon) -> dict[str, Any]:
    given = {
        "AddonVersion": call.params.get("addonVersion"),
        "ServiceAccountRoleArn": call.params.get("serviceAccountRoleArn"),
        "ResolveConflicts": call.params.get("resolveConflicts"),
        "ConfigurationValues": call.params.get("configurationValues"),
    }
    return {
        "id": str(uuid4()),
        "status": "Successful",
        "type": "AddonUpdate",
        "params": [{"type": kind, "value": value} for kind, value in given.items() if value is not None],
        "createdAt": addon.modified_at,
        "errors": [],
    }
