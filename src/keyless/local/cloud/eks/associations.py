"""Pod identity associations: facts/identity.md#associations."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keyless.api import Arn
from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.cluster import ClusterFacts, ClusterOperations
from keyless.local.cloud.eks.paging import page
from keyless.local.cloud.eks.projection import Projection
from keyless.local.cloud.eks.tags import checked
from keyless.local.cloud.eks.trust import trusts_pods
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.service import Operation

KIND = "eks-association"
_TOKENS = "eks-association-token"
_OF = "eks-association-of"
_MOST = 5000
_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


@dataclass(frozen=True, slots=True)
class Association:
    """Which role the pods of a service account get."""

    id: str
    arn: str
    namespace: str
    service_account: str
    role_arn: str
    created_at: float
    modified_at: float
    tags: dict[str, str] = field(default_factory=dict)
    disable_session_tags: bool = False
    target_role_arn: str = ""
    external_id: str = ""
    policy: str = ""
    #: the addon that made it, where one did
    owner_arn: str = ""


@dataclass(frozen=True, slots=True)
class OfAddon:
    """An association that an addon asks for."""

    owner_arn: str
    namespace: str
    service_account: str
    role_arn: str


class Associations:
    """The operations, and the look-up that EKS Auth needs."""

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
        if database.count(_OF) != database.count(KIND):
            with database.transaction():  # a state from before this index
                for one in self._all():
                    self._save(one)

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreatePodIdentityAssociation", self._create, self._creating),
            Operation("ListPodIdentityAssociations", self._list, self._on_cluster),
            Operation("DescribePodIdentityAssociation", self._describe, self._on_association),
            Operation("UpdatePodIdentityAssociation", self._update, self._updating),
            Operation("DeletePodIdentityAssociation", self._delete, self._on_association),
        )

    def of(self, namespace: str, service_account: str) -> Association | None:
        """The association of a service account: there is at most one."""
        found = self._database.get(_OF, f"{namespace}/{service_account}")
        return self._get(found) if found else None

    def owned_by(self, addon_arn: str) -> list[Association]:
        """The associations that an addon made."""
        return [one for one in self._all() if one.owner_arn == addon_arn]

    def replace_owned(self, addon_arn: str, wanted: Sequence[OfAddon], now: float) -> None:
        """Bring an addon's associations to what it wants, all or none; raises as the operations do."""
        owned = {(one.namespace, one.service_account): one for one in self.owned_by(addon_arn)}
        kept = {(one.namespace, one.service_account) for one in wanted}
        with self._database.transaction():
            for place, unwanted in owned.items():
                if place not in kept:
                    self._remove(unwanted)
            for one in wanted:
                found = owned.get((one.namespace, one.service_account))
                if found:
                    self._save(self._checked(replace(found, role_arn=one.role_arn, modified_at=now)))
                else:
                    self._add(self._checked(self._of_addon(one, now)))

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of an association."""
        return next((one.tags for one in self._all() if one.arn == arn), None)

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        """Write the tags of an association."""
        for one in self._all():
            if one.arn == arn:
                self._save(replace(one, tags=tags))

    # Authorisation ------------------------------------------------------------------------------------------------

    def _on_cluster(self, call: Call) -> Target:
        return self._cluster.target(call, call.params["clusterName"])

    def _on_association(self, call: Call) -> Target:
        name, found_id = call.params["clusterName"], call.params["associationId"]
        found = self._get(found_id)
        arn = call.arn(f"podidentityassociation/{name}/{found_id}", service="eks")
        return Target(arn, keys=resource_tag_keys(found.tags if found else {}))

    def _creating(self, call: Call) -> list[Target]:
        target = self._on_cluster(call)
        return [replace(target, keys={**target.keys, **tag_keys(dict(call.params.get("tags") or {}))}), *_passed(call)]

    def _updating(self, call: Call) -> list[Target]:
        return [self._on_association(call), *_passed(call)]

    # Operations ---------------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._cluster.check(call, params["clusterName"])
        token = _checked_token(params.get("clientRequestToken"))
        if token and (first := self._database.get(_TOKENS, token)) and (found := self._get(first)):
            return {"association": self._shape(found)}
        association = self._checked(self._new(call))
        with self._database.transaction():
            self._add(association)
            if token:
                self._database.put(_TOKENS, token, association.id)
        await self._projection.settle()
        return {"association": self._shape(association)}

    def _add(self, new: Association) -> None:
        """One association for each service account, and so many in a cluster."""
        if found := self.of(new.namespace, new.service_account):
            raise AwsError("ResourceInUseException", f"Association already exists: {found.id}", status=409)
        if self._database.count(KIND) >= _MOST:
            text = f"The maximum number of pod identity associations ({_MOST}) has been reached"
            raise AwsError("ResourceLimitExceededException", text, status=400)
        self._save(new)

    def _named(self) -> tuple[str, str]:
        """A new id, and the ARN that goes with it."""
        facts = self._facts
        new_id = "a-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(17))
        return new_id, f"arn:aws:eks:{facts.region}:{facts.account}:podidentityassociation/{facts.name}/{new_id}"

    def _of_addon(self, one: OfAddon, now: float) -> Association:
        new_id, arn = self._named()
        return Association(
            new_id, arn, one.namespace, one.service_account, one.role_arn, now, now, owner_arn=one.owner_arn
        )

    def _new(self, call: Call) -> Association:
        params = call.params
        new_id, arn = self._named()
        return Association(
            id=new_id,
            arn=arn,
            namespace=params["namespace"],
            service_account=params["serviceAccount"],
            role_arn=params["roleArn"],
            created_at=call.now,
            modified_at=call.now,
            tags=checked(params.get("tags") or {}),
            disable_session_tags=params.get("disableSessionTags", False),
            target_role_arn=params.get("targetRoleArn", ""),
            policy=params.get("policy", ""),
        )

    def _checked(self, new: Association) -> Association:
        """Every rule that holds for a new and for a changed association."""
        _matches("namespace", new.namespace, _LABEL, longest=63)
        _matches("serviceAccount", new.service_account, _SUBDOMAIN, longest=253)
        self._check_role(new.role_arn)
        if new.policy:
            if not new.disable_session_tags:
                raise _invalid("A policy can be specified only when session tags are disabled")
            _session_policy(new.policy)
        if new.target_role_arn:
            _role_arn(new.target_role_arn)
        facts = self._facts
        external = "/".join((facts.region, facts.account, facts.name, new.namespace, new.service_account))
        return replace(new, external_id=external if new.target_role_arn else "")

    def _check_role(self, text: str) -> None:
        arn = _role_arn(text)
        if arn.account != self._facts.account:
            raise _invalid("Role provided in the request must be in the same account as the cluster")
        role = self._directory.role(arn.resource.rpartition("/")[2])
        if role is None or role.arn != text:
            raise _invalid("Role provided in the request does not exist")
        if not trusts_pods(role):
            raise _invalid("Trust policy of the role provided is invalid")

    def _list(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._cluster.check(call, params["clusterName"])
        found = [
            one
            for one in self._all()
            if params.get("namespace", one.namespace) == one.namespace
            and params.get("serviceAccount", one.service_account) == one.service_account
        ]
        return page("associations", [_summary(self._shape(one)) for one in found], params)

    def _describe(self, call: Call) -> dict[str, Any]:
        return {"association": self._shape(self._find(call))}

    async def _update(self, call: Call) -> dict[str, Any]:
        params, found = call.params, self._find(call)
        _checked_token(params.get("clientRequestToken"))
        changed = self._checked(
            replace(
                found,
                role_arn=params.get("roleArn", found.role_arn),
                disable_session_tags=params.get("disableSessionTags", found.disable_session_tags),
                target_role_arn=params.get("targetRoleArn", found.target_role_arn),
                policy=params.get("policy", found.policy),
                modified_at=call.now,
            )
        )
        with self._database.transaction():
            self._save(changed)
        await self._projection.settle()
        return {"association": self._shape(changed)}

    async def _delete(self, call: Call) -> dict[str, Any]:
        found = self._find(call)
        with self._database.transaction():
            self._remove(found)
        await self._projection.settle()
        return {"association": self._shape(found)}

    # State --------------------------------------------------------------------------------------------------------

    def _save(self, association: Association) -> None:
        self._database.put(KIND, association.id, association)
        self._database.put(_OF, f"{association.namespace}/{association.service_account}", association.id)

    def _remove(self, association: Association) -> None:
        self._database.remove(KIND, association.id)
        self._database.remove(_OF, f"{association.namespace}/{association.service_account}")

    def _get(self, association_id: str) -> Association | None:
        found = self._database.get(KIND, association_id)
        return Association(**found) if found else None

    def _all(self) -> list[Association]:
        return [Association(**found) for found in self._database.all(KIND)]

    def _find(self, call: Call) -> Association:
        self._cluster.check(call, call.params["clusterName"])
        wanted = call.params["associationId"]
        found = self._get(wanted)
        if found is None:
            text = f"No service account role association found for ID: {wanted}"
            raise AwsError("ResourceNotFoundException", text, status=404)
        return found

    def _shape(self, one: Association) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "clusterName": self._facts.name,
            "namespace": one.namespace,
            "serviceAccount": one.service_account,
            "roleArn": one.role_arn,
            "associationArn": one.arn,
            "associationId": one.id,
            "tags": one.tags,
            "createdAt": one.created_at,
            "modifiedAt": one.modified_at,
            "disableSessionTags": one.disable_session_tags,
        }
        optional = {
            "targetRoleArn": one.target_role_arn,
            "externalId": one.external_id,
            "policy": one.policy,
            "ownerArn": one.owner_arn,
        }
        return fields | {name: value for name, value in optional.items() if value}


def _summary(shape: dict[str, Any]) -> dict[str, Any]:
    names = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    return {name: shape[name] for name in names if name in shape}


def _passed(call: Call) -> list[Target]:
    arn = call.params.get("roleArn")
    return passed(arn) if arn else []


def passed(arn: str) -> list[Target]:
    """Handing a role to EKS needs iam:PassRole and iam:GetRole on it."""
    handing = {"iam:PassedToService": "pods.eks.amazonaws.com"}
    return [Target(arn, action="iam:PassRole", keys=handing), Target(arn, action="iam:GetRole")]


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text, status=400)


def _checked_token(token: str | None) -> str:
    if token is not None and not 33 <= len(token) <= 126:
        raise _invalid("The client request token parameter must be between 33 and 126 characters.")
    return token or ""


def _matches(name: str, value: str, pattern: str, *, longest: int) -> None:
    if not re.fullmatch(pattern, value) or "\n" in value:
        text = f"The parameter {name} contains invalid characters."
        raise _invalid(f'{text} It should conform to the regular expression "{pattern}"')
    if len(value) > longest:
        raise _invalid(f"The parameter {name} must be at most {longest} characters long.")


def _role_arn(text: str) -> Arn:
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise _invalid("Role ARN provided in the request is invalid") from None
    if arn.service != "iam" or not arn.resource.startswith("role/"):
        raise _invalid("Role ARN provided in the request is invalid")
    return arn


def _session_policy(text: str) -> None:
    try:
        checks.document(text, "session")
    except AwsError as error:
        raise _invalid(f"The policy provided is invalid: {error.message}") from None
