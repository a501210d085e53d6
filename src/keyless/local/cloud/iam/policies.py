"""IAM's operations on managed policies and their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, shapes, targets
from keyless.local.cloud.iam.directory import Directory, Holder, How
from keyless.local.cloud.iam.managed import AWS_MANAGED
from keyless.local.cloud.iam.model import ManagedPolicy, PolicyVersion
from keyless.local.cloud.iam.tagging import Tagging
from keyless.local.cloud.service import Operation, anything
from keyless.local.cloud.sessions import new_id


class ManagedPolicies:
    """Create, read, version and delete managed policies; AWS's own are read-only."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        tagging = Tagging("Policy", find=self._changeable, save=self._directory.save_policy, target=self.target)
        return (
            Operation("CreatePolicy", self._create, self._new_policy),
            Operation("GetPolicy", self._get, self.target),
            Operation("ListPolicies", self._list, anything),
            Operation("DeletePolicy", self._delete, self.target),
            Operation("CreatePolicyVersion", self._create_version, self.target),
            Operation("GetPolicyVersion", self._get_version, self.target),
            Operation("ListPolicyVersions", self._list_versions, self.target),
            Operation("DeletePolicyVersion", self._delete_version, self.target),
            Operation("SetDefaultPolicyVersion", self._set_default, self.target),
            Operation("ListEntitiesForPolicy", self._entities, self.target),
            *tagging.operations(),
        )

    def find(self, arn: str) -> ManagedPolicy:
        """The policy, or NoSuchEntity."""
        found = self._directory.policy(arn)
        if found is None:
            raise checks.missing(f"Policy {arn} was not found.")
        return found

    def target(self, call: Call) -> Target:
        """The policy that a call names, for authorisation."""
        arn = call.params["PolicyArn"]
        found = self._directory.policy(arn)
        # AWS's own policies are in the account "aws", but asking for one is a question of the caller's account.
        keys = {**targets.resource_keys(found.tags if found else {}), **targets.requested(call)}
        return Target(arn, account=call.account, keys=keys, label=f"policy {arn}")

    def _new_policy(self, call: Call) -> Target:
        arn = targets.arn(call, f"policy{targets.path_of(call)}{call.params['PolicyName']}")
        return Target(arn, keys=targets.requested(call))

    def _own(self, arn: str) -> ManagedPolicy:
        """A policy of the customer: AWS's cannot be changed."""
        if arn in AWS_MANAGED:
            raise AwsError("AccessDenied", f"Policy {arn} is managed by AWS and cannot be changed", status=403)
        return self.find(arn)

    def _changeable(self, call: Call) -> ManagedPolicy:
        return self._own(call.params["PolicyArn"])

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["PolicyName"], targets.path_of(call)
        if self._directory.taken("iam-policy", name):
            raise checks.taken(f"A policy called {name} already exists. Duplicate names are not allowed.")
        if self._directory.database.count("iam-policy") >= checks.POLICIES:
            raise checks.beyond(f"Cannot exceed quota for PoliciesPerAccount: {checks.POLICIES}")
        document = checks.managed(call.params["PolicyDocument"])
        policy = ManagedPolicy(
            name=name,
            id=new_id("ANPA"),
            arn=targets.arn(call, f"policy{path}{name}"),
            path=path,
            created_at=call.now,
            updated_at=call.now,
            default="v1",
            versions=(PolicyVersion("v1", document, call.now),),
            next_version=2,
            description=call.params.get("Description", ""),
            tags=checks.tags(call.params.get("Tags", ())),
        )
        self._directory.save_policy(policy)
        return {"Policy": self._shape(policy)}

    def _shape(self, policy: ManagedPolicy, *, whole: bool = True) -> dict[str, Any]:
        count = self._directory.count_uses
        attached, boundaries = count(policy.arn, "attached"), count(policy.arn, "boundary")
        return shapes.policy(policy, attached=attached, boundaries=boundaries, whole=whole)

    def _get(self, call: Call) -> dict[str, Any]:
        return {"Policy": self._shape(self.find(call.params["PolicyArn"]))}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix, scope = targets.path_of(call, "PathPrefix"), call.params.get("Scope", "All")
        how: How = "boundary" if call.params.get("PolicyUsageFilter") == "PermissionsBoundary" else "attached"
        only_used = bool(call.params.get("OnlyAttached") or call.params.get("PolicyUsageFilter"))

        def after(key: str) -> Iterator[tuple[str, Any]]:
            for policy in self._all(key, scope):
                if policy.path.startswith(prefix) and (not only_used or self._directory.count_uses(policy.arn, how)):
                    yield policy.arn, self._shape(policy, whole=False)

        return shapes.page_by_key(call, "Policies", after)

    def _all(self, key: str, scope: str) -> Iterator[ManagedPolicy]:
        """In the order of their ARNs: the account's own come first, AWS's behind them."""
        if scope != "AWS":
            yield from self._directory.each("iam-policy", after=key)
        if scope != "Local":
            yield from (AWS_MANAGED[arn] for arn in sorted(AWS_MANAGED) if arn > key)

    def _delete(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        if self._directory.uses(policy.arn, "attached") or self._directory.uses(policy.arn, "boundary"):
            raise checks.in_use("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise checks.in_use(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's"
                " versions. The default version is deleted with the policy."
            )
        self._directory.remove("iam-policy", policy.arn)

    def _create_version(self, call: Call) -> dict[str, Any]:
        policy = self._own(call.params["PolicyArn"])
        document = checks.managed(call.params["PolicyDocument"])
        if len(policy.versions) >= checks.VERSIONS:
            raise checks.beyond(
                f"A managed policy can have up to {checks.VERSIONS} versions. Before you create a new version, you must"
                " delete an existing version."
            )
        version = PolicyVersion(f"v{policy.next_version}", document, call.now)
        changed = replace(
            policy,
            versions=(*policy.versions, version),
            next_version=policy.next_version + 1,
            default=version.id if call.params.get("SetAsDefault") else policy.default,
            updated_at=call.now,
        )
        self._directory.save_policy(changed)
        return {"PolicyVersion": shapes.version(version, changed.default, whole=False)}

    def _version(self, policy: ManagedPolicy, version_id: str) -> PolicyVersion:
        for version in policy.versions:
            if version.id == version_id:
                return version
        raise checks.missing(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")

    def _get_version(self, call: Call) -> dict[str, Any]:
        policy = self.find(call.params["PolicyArn"])
        version = self._version(policy, call.params["VersionId"])
        return {"PolicyVersion": shapes.version(version, policy.default, whole=True)}

    def _list_versions(self, call: Call) -> dict[str, Any]:
        policy = self.find(call.params["PolicyArn"])
        versions = [shapes.version(version, policy.default, whole=False) for version in reversed(policy.versions)]
        return shapes.page(call, "Versions", versions)

    def _delete_version(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        version = self._version(policy, call.params["VersionId"])
        if version.id == policy.default:
            raise checks.in_use("Cannot delete the default version of a policy.")
        kept = tuple(other for other in policy.versions if other.id != version.id)
        self._directory.save_policy(replace(policy, versions=kept, updated_at=call.now))

    def _set_default(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        version = self._version(policy, call.params["VersionId"])
        self._directory.save_policy(replace(policy, default=version.id, updated_at=call.now))

    def _entities(self, call: Call) -> dict[str, Any]:
        arn = self.find(call.params["PolicyArn"]).arn
        how: How = "boundary" if call.params.get("PolicyUsageFilter") == "PermissionsBoundary" else "attached"
        wanted, prefix = call.params.get("EntityFilter"), targets.path_of(call, "PathPrefix")
        found = [
            (kind, holder)
            for kind, name in self._directory.uses(arn, how)
            if (holder := self._holder(kind, name)) and holder.path.startswith(prefix)
        ]
        # Three lists share one page, as in AWS's answers.
        page = shapes.page(call, "found", found if wanted in (None, "Role", "User", "Group") else [])
        fields: dict[str, Any] = {name: value for name, value in page.items() if name != "found"}
        for kind, word in (("iam-group", "Group"), ("iam-user", "User"), ("iam-role", "Role")):
            of_kind = [holder for one, holder in page["found"] if one == kind and wanted in (None, word)]
            fields[f"Policy{word}s"] = [{f"{word}Name": one.name, f"{word}Id": one.id} for one in of_kind]
        return fields

    def _holder(self, kind: str, name: str) -> Holder | None:
        finders: dict[str, Callable[[str], Holder | None]] = {
            "iam-role": self._directory.role,
            "iam-user": self._directory.user,
            "iam-group": self._directory.group,
        }
        return finders[kind](name)
