"""IAM's operations on managed policies and their versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, shapes
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.managed import AWS_MANAGED
from keyless.local.cloud.iam.model import ManagedPolicy, PolicyVersion
from keyless.local.cloud.service import Operation, anything
from keyless.local.cloud.sessions import new_id


class ManagedPolicies:
    """Create, read, version and delete managed policies; AWS's own are read-only."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
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
            Operation("TagPolicy", self._tag, self.target),
            Operation("UntagPolicy", self._untag, self.target),
            Operation("ListPolicyTags", self._list_tags, self.target),
            Operation("ListEntitiesForPolicy", self._entities, self.target),
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
        keys = resource_tag_keys(found.tags if found else {})
        return Target(arn, account=call.account, keys=keys, label=f"policy {arn}")

    def _new_policy(self, call: Call) -> Target:
        tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
        path = call.params.get("Path", "/")
        arn = call.arn(f"policy{path}{call.params['PolicyName']}", service="iam", region="")
        return Target(arn, keys=tag_keys(tags))

    def _own(self, arn: str) -> ManagedPolicy:
        """A policy of the customer: AWS's cannot be changed."""
        if arn in AWS_MANAGED:
            raise AwsError("AccessDenied", f"Policy {arn} is managed by AWS and cannot be changed", status=403)
        return self.find(arn)

    def _create(self, call: Call) -> dict[str, Any]:
        name, path = call.params["PolicyName"], call.params.get("Path", "/")
        if any(policy.name.lower() == name.lower() for policy in self._directory.policies()):
            raise checks.taken(f"A policy called {name} already exists. Duplicate names are not allowed.")
        if self._directory.database.count("iam-policy") >= checks.POLICIES:
            raise checks.beyond(f"Cannot exceed quota for PoliciesPerAccount: {checks.POLICIES}")
        document = checks.managed(call.params["PolicyDocument"])
        policy = ManagedPolicy(
            name=name,
            id=new_id("ANPA"),
            arn=call.arn(f"policy{path}{name}", service="iam", region=""),
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
        return shapes.policy(policy, attached=len(self._holders(policy.arn)), whole=whole)

    def _holders(self, arn: str) -> list[tuple[str, str, str]]:
        """(kind, name, id) of everything that the policy is attached to."""
        database = self._directory.database
        if not database.count("iam-role", mentioning=arn) and not database.count("iam-user", mentioning=arn):
            return []
        roles = [("Role", role.name, role.id) for role in self._directory.roles() if arn in role.attached]
        return roles + [("User", user.name, user.id) for user in self._directory.users() if arn in user.attached]

    def _get(self, call: Call) -> dict[str, Any]:
        return {"Policy": self._shape(self.find(call.params["PolicyArn"]))}

    def _list(self, call: Call) -> dict[str, Any]:
        scope, prefix = call.params.get("Scope", "All"), call.params.get("PathPrefix", "/")
        found: list[ManagedPolicy] = [] if scope == "AWS" else self._directory.policies()
        if scope != "Local":
            found = [*found, *AWS_MANAGED.values()]
        listed = [self._shape(policy, whole=False) for policy in found if policy.path.startswith(prefix)]
        if call.params.get("OnlyAttached"):
            listed = [policy for policy in listed if policy["AttachmentCount"]]
        return shapes.page(call, "Policies", listed)

    def _delete(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        if self._holders(policy.arn):
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

    def _tag(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        self._directory.save_policy(replace(policy, tags=checks.tags(call.params["Tags"], policy.tags)))

    def _untag(self, call: Call) -> None:
        policy = self._own(call.params["PolicyArn"])
        kept = {key: value for key, value in policy.tags.items() if key not in call.params["TagKeys"]}
        self._directory.save_policy(replace(policy, tags=kept))

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "Tags", checks.as_tags(self.find(call.params["PolicyArn"]).tags))

    def _entities(self, call: Call) -> dict[str, Any]:
        holders = self._holders(self.find(call.params["PolicyArn"]).arn)
        fields: dict[str, Any] = {"PolicyGroups": [], "IsTruncated": False}
        for kind in ("Role", "User"):
            named = [{f"{kind}Name": name, f"{kind}Id": found} for holder, name, found in holders if holder == kind]
            fields[f"Policy{kind}s"] = named
        return fields
