"""Access entries: which IAM principals the cluster knows, under which names, with which access policies.

Spec: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from keyless.api import Arn
from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.access_model import KIND, AccessEntry, entry_of
from keyless.local.cloud.eks.access_policies import POLICIES, PREFIX, AssociatedPolicy
from keyless.local.cloud.eks.cluster import ClusterFacts, ClusterOperations
from keyless.local.cloud.eks.paging import page
from keyless.local.cloud.eks.projection import Projection
from keyless.local.cloud.eks.tags import checked
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.service import Operation

_BOOT = "eks-access-at-boot"
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")
_TEMPLATES = {"{{AccountID}}", "{{SessionName}}", "{{SessionNameRaw}}"}
_NAMESPACE = re.compile(r"[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?")


class AccessEntries:
    """The operations on entries, and the look-up that authentication needs."""

    def __init__(
        self,
        database: Database,
        facts: ClusterFacts,
        cluster: ClusterOperations,
        projection: Projection,
        directory: Directory,
    ) -> None:
        self._database = database
        self._facts = facts
        self._cluster = cluster
        self._projection = projection
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateAccessEntry", self._create, self._creating),
            Operation("DescribeAccessEntry", self._describe, self.target),
            Operation("ListAccessEntries", self._list, self._on_cluster),
            Operation("UpdateAccessEntry", self._update, self.target),
            Operation("DeleteAccessEntry", self._delete, self.target),
        )

    def make_creator_admin(self, principal_arn: str, now: float) -> None:
        """``bootstrapClusterCreatorAdminPermissions``: who made the cluster administers it, from the first start on."""
        if self._database.get("remembered", _BOOT) is not None:
            return
        admin = AssociatedPolicy(f"{PREFIX}AmazonEKSClusterAdminPolicy", "cluster", (), now, now)
        with self._database.transaction():
            self._database.put("remembered", _BOOT, "done")
            self.save(replace(self._made(principal_arn, now), policies=(admin,)))

    def of(self, principal_arn: str, principal_id: str) -> AccessEntry | None:
        """The entry of a principal, by its ARN and unique id."""
        found = self._get(principal_arn)
        return found if found and found.principal_id == principal_id else None

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of an entry."""
        return next((dict(one.tags) for one in self._all() if one.arn == arn), None)

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        """Write the tags of an entry."""
        for one in self._all():
            if one.arn == arn:
                self.save(replace(one, tags=tags))

    def find(self, call: Call) -> AccessEntry:
        """The entry that a call names, or ResourceNotFound."""
        self._cluster.check(call, call.params["clusterName"])
        found = self._get(call.params["principalArn"])
        if found is None:
            text = "The specified principalArn could not be found. You can view your available access entries with"
            raise AwsError("ResourceNotFoundException", f"{text} 'list-access-entries'.", status=404)
        return found

    def save(self, entry: AccessEntry) -> None:
        """Write an entry."""
        self._database.put(KIND, entry.principal_arn, entry)

    # Authorisation ------------------------------------------------------------------------------------------------

    def target(self, call: Call) -> Target:
        """The entry that a call names, with what the call asks for as condition keys."""
        found = self._get(call.params["principalArn"])
        arn = found.arn if found else call.arn(f"access-entry/{call.params['clusterName']}/*", service="eks")
        return Target(arn, keys={**resource_tag_keys(dict(found.tags) if found else {}), **_asked(call)})

    def _on_cluster(self, call: Call) -> Target:
        return self._cluster.target(call, call.params["clusterName"])

    def _creating(self, call: Call) -> Target:
        target = self._on_cluster(call)
        return replace(target, keys={**target.keys, **_asked(call), **tag_keys(dict(call.params.get("tags") or {}))})

    # Operations ---------------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._cluster.check(call, params["clusterName"])
        if (kind := params.get("type", "STANDARD")) != "STANDARD":
            raise invalid(f"Access entries of type {kind} are for nodes of AWS; this cluster has STANDARD ones")
        if self._get(params["principalArn"]):
            text = "The specified access entry resource is already in use on this cluster."
            raise AwsError("ResourceInUseException", text, status=409)
        made = self._made(params["principalArn"], call.now)
        made = replace(
            made,
            username=_username(params.get("username"), made.username),
            groups=_groups(params.get("kubernetesGroups") or ()),
            tags=checked(params.get("tags") or {}),
        )
        self.save(made)
        return {"accessEntry": self._shape(made)}

    def _made(self, principal_arn: str, now: float) -> AccessEntry:
        kind, name, unique = self._principal(principal_arn)
        facts = self._facts
        place = f"access-entry/{facts.name}/{kind}/{facts.account}/{name}/{uuid4()}"
        username = principal_arn
        if kind == "role":
            username = f"arn:aws:sts::{facts.account}:assumed-role/{name}/{{{{SessionName}}}}"
        return AccessEntry(
            f"arn:aws:eks:{facts.region}:{facts.account}:{place}", principal_arn, unique, username, now, now
        )

    def _principal(self, arn: str) -> tuple[str, str, str]:
        """Kind, name and unique id of a principal that exists in the cluster's account."""
        try:
            parsed = Arn.parse(arn)
        except ValueError:
            raise invalid("The specified principalArn is invalid: invalid principal.") from None
        kind, _, path = parsed.resource.partition("/")
        name = path.rpartition("/")[2]
        found = {"role": self._directory.role, "user": self._directory.user}.get(kind, lambda _: None)(name)
        if parsed.service != "iam" or found is None or found.arn != arn:
            raise invalid("The specified principalArn is invalid: invalid principal.")
        return kind, name, found.id

    def _describe(self, call: Call) -> dict[str, Any]:
        return {"accessEntry": self._shape(self.find(call))}

    def _list(self, call: Call) -> dict[str, Any]:
        self._cluster.check(call, call.params["clusterName"])
        wanted = call.params.get("associatedPolicyArn")
        found = [
            one.principal_arn
            for one in self._all()
            if wanted is None or any(policy.arn == wanted for policy in one.policies)
        ]
        return page("accessEntries", found, call.params)

    async def _update(self, call: Call) -> dict[str, Any]:
        found, params = self.find(call), call.params
        changed = replace(
            found,
            username=_username(params.get("username"), found.username),
            groups=_groups(params["kubernetesGroups"]) if "kubernetesGroups" in params else found.groups,
            modified_at=call.now,
        )
        self.save(changed)
        return {"accessEntry": self._shape(changed)}

    async def _delete(self, call: Call) -> None:
        found = self.find(call)
        with self._database.transaction():
            self._database.remove(KIND, found.principal_arn)
        await self._projection.settle()

    def _get(self, principal_arn: str) -> AccessEntry | None:
        found = self._database.get(KIND, principal_arn)
        return entry_of(found) if found else None

    def _all(self) -> list[AccessEntry]:
        return [entry_of(found) for found in self._database.all(KIND)]

    def _shape(self, entry: AccessEntry) -> dict[str, Any]:
        return {
            "clusterName": self._facts.name,
            "principalArn": entry.principal_arn,
            "kubernetesGroups": list(entry.groups),
            "accessEntryArn": entry.arn,
            "createdAt": entry.created_at,
            "modifiedAt": entry.modified_at,
            "tags": dict(entry.tags),
            "username": entry.username,
            "type": "STANDARD",
        }


class AccessPolicies:
    """The operations on the policies of entries."""

    def __init__(self, entries: AccessEntries, cluster_name: str, projection: Projection) -> None:
        self._entries = entries
        self._cluster_name = cluster_name
        self._projection = projection

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        target = self._entries.target
        return (
            Operation("AssociateAccessPolicy", self._associate, target),
            Operation("DisassociateAccessPolicy", self._disassociate, target),
            Operation("ListAssociatedAccessPolicies", self._list, target),
            Operation("ListAccessPolicies", self._known),
        )

    async def _associate(self, call: Call) -> dict[str, Any]:
        entry, arn = self._entries.find(call), call.params["policyArn"]
        if arn.removeprefix(PREFIX) not in POLICIES or not arn.startswith(PREFIX):
            raise invalid("The policyArn parameter format is not valid")
        scope, namespaces = _scope(call.params["accessScope"])
        known = next((one for one in entry.policies if one.arn == arn), None)
        policy = AssociatedPolicy(arn, scope, namespaces, known.associated_at if known else call.now, call.now)
        others = tuple(one for one in entry.policies if one.arn != arn)
        self._entries.save(replace(entry, policies=(*others, policy)))
        await self._projection.settle()
        return {**self._of(entry), "associatedAccessPolicy": _shape_of(policy)}

    async def _disassociate(self, call: Call) -> None:
        entry, arn = self._entries.find(call), call.params["policyArn"]
        kept = tuple(one for one in entry.policies if one.arn != arn)
        if len(kept) == len(entry.policies):
            text = "The specified policyArn could not be found: it is not associated with the access entry."
            raise AwsError("ResourceNotFoundException", text, status=404)
        self._entries.save(replace(entry, policies=kept))
        await self._projection.settle()

    def _list(self, call: Call) -> dict[str, Any]:
        entry = self._entries.find(call)
        shown = [_shape_of(one) for one in entry.policies]
        return {**self._of(entry), **page("associatedAccessPolicies", shown, call.params)}

    def _known(self, call: Call) -> dict[str, Any]:
        return page("accessPolicies", [{"name": name, "arn": PREFIX + name} for name in POLICIES], call.params)

    def _of(self, entry: AccessEntry) -> dict[str, str]:
        return {"clusterName": self._cluster_name, "principalArn": entry.principal_arn}


def invalid(text: str) -> AwsError:
    """EKS's word for a parameter that will not do."""
    return AwsError("InvalidParameterException", text, status=400)


def _shape_of(policy: AssociatedPolicy) -> dict[str, Any]:
    return {
        "policyArn": policy.arn,
        "accessScope": {"type": policy.scope, "namespaces": list(policy.namespaces)},
        "associatedAt": policy.associated_at,
        "modifiedAt": policy.modified_at,
    }


def _scope(given: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    kind, namespaces = given.get("type"), tuple(given.get("namespaces") or ())
    if kind not in ("cluster", "namespace"):
        raise invalid("The type of an access scope is either cluster or namespace.")
    if (kind == "namespace") != bool(namespaces):
        raise invalid("Namespaces must be specified for an access scope of type namespace, and only for one of it.")
    for one in namespaces:
        if not _NAMESPACE.fullmatch(one):
            raise invalid(f"The namespace {one} of the access scope is invalid.")
    return kind, namespaces


def _groups(given: Any) -> tuple[str, ...]:
    for name in given:
        for prefix in _RESERVED:
            if name.startswith(prefix):
                raise invalid(f"The kubernetes group name {name} is invalid, it cannot start with {prefix}")
    return tuple(given)


def _username(given: str | None, otherwise: str) -> str:
    if not given:
        return otherwise
    for prefix in _RESERVED:
        if given.startswith(prefix):
            raise invalid(f"The username must not begin with {prefix}")
    if re.search(r"^[^:]*\{\{SessionName", given):
        raise invalid("The username must have a colon before the name of the session.")
    if unknown := set(re.findall(r"\{\{.*?\}\}", given)) - _TEMPLATES:
        raise invalid(f"The username template {sorted(unknown)[0]} is not one of {', '.join(sorted(_TEMPLATES))}")
    return given


def _asked(call: Call) -> dict[str, Any]:
    """The condition keys that EKS sets for access entries."""
    params, keys = call.params, dict[str, Any]()
    for name in ("principalArn", "username", "policyArn"):
        if name in params:
            keys[f"eks:{name}"] = params[name]
    if "kubernetesGroups" in params:
        keys["eks:kubernetesGroups"] = tuple(params["kubernetesGroups"])
    if call.operation == "CreateAccessEntry":
        keys["eks:accessEntryType"] = params.get("type", "STANDARD")
    if scope := params.get("accessScope"):
        keys["eks:accessScope"] = scope.get("type", "")
        keys["eks:namespaces"] = tuple(scope.get("namespaces") or ())
    return keys
