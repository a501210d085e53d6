"""IAM's policy simulator on the engine that decides: what would be allowed, by which statements.

As AWS's, it knows only what it is told: context keys come from ContextEntries, a resource's policy from ResourcePolicy.
Answers have one result per action, with ResourceSpecificResults where resources were named. Not here: simulating
resource control policies; the ARN templates that newer answers give as EvalResourceName.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.iam.context_keys import keys_of
from keyless.local.cloud.iam.directory import Directory, Holder
from keyless.local.cloud.iam.model import Group, Role, User
from keyless.local.cloud.iam.simulated import Simulation, Texts, answer, invalid
from keyless.local.cloud.service import Operation
from keyless.policy import ContextValue, Kind, Named, Policies, Principal

Fields = dict[str, Any]


class Simulator:
    """SimulatePrincipalPolicy, SimulateCustomPolicy and the two operations that list context keys."""

    def __init__(
        self,
        directory: Directory,
        *,
        find_role: Callable[[str], Role],
        find_user: Callable[[str], User],
        find_group: Callable[[str], Group],
    ) -> None:
        self._directory = directory
        self._finders: dict[str, Callable[[str], Holder]] = {"role": find_role, "user": find_user, "group": find_group}

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("SimulateCustomPolicy", self._custom),
            Operation("SimulatePrincipalPolicy", self._of_principal, _source_target),
            Operation("GetContextKeysForCustomPolicy", self._custom_keys),
            Operation("GetContextKeysForPrincipalPolicy", self._principal_keys, _source_target),
        )

    def _custom(self, call: Call) -> Fields:
        if call.params.get("ResourcePolicy") and not call.params.get("CallerArn"):
            raise invalid("CallerArn is required when a ResourcePolicy is given.")
        texts = Texts()
        identity = texts.all("PolicyInputList", call.params["PolicyInputList"], "identity")
        return answer(call, self._simulation(call, texts, identity, boundary=""))

    def _of_principal(self, call: Call) -> Fields:
        holder, texts = self._holder(call), Texts()
        own = self._policies_of(holder, texts, call.params.get("PolicyExclusionList", ()))
        told = texts.all("PolicyInputList", call.params.get("PolicyInputList", ()), "identity")
        limit = "" if isinstance(holder, Group) else holder.boundary
        return answer(call, self._simulation(call, texts, (*own, *told), boundary=limit))

    def _simulation(self, call: Call, texts: Texts, identity: tuple[Named, ...], *, boundary: str) -> Simulation:
        params = call.params
        told = texts.all(
            "PermissionsBoundaryPolicyInputList", params.get("PermissionsBoundaryPolicyInputList", ()), "boundary"
        )
        if len(told) > 1:
            raise invalid("Only one permissions boundary policy can be given.")
        limit = told[0] if told else self._managed(boundary, texts, "boundary") if boundary else None
        resource = params.get("ResourcePolicy")
        levels = params.get("OrderedOrganizationPolicyInputList", ())
        policies = Policies(
            identity=identity,
            resource=texts.add("ResourcePolicy", resource, "resource") if resource else None,
            boundary=limit,
            scps=tuple(
                texts.all(
                    f"OrderedOrganizationPolicyInputList.{number}",
                    level.get("ServiceControlPolicyInputList", ()),
                    "scp",
                )
                for number, level in enumerate(levels, 1)
            ),
        )
        owner = params.get("ResourceOwner", "").removesuffix(":root").rpartition(":")[2]
        return Simulation(policies, texts, self._caller(call), _context(params.get("ContextEntries", ())), owner)

    def _caller(self, call: Call) -> Principal:
        arn = call.params.get("CallerArn") or call.params.get("PolicySourceArn", "")
        if not arn:
            return Principal("User", call.account)
        segments = arn.split(":", 5)
        kind, _, rest = segments[-1].partition("/")
        if len(segments) < 6 or kind not in ("user", "role", "group"):
            raise invalid(f"Invalid CallerArn {arn}: expected the ARN of a user, group or role.")
        account, name = segments[4], rest.rpartition("/")[2]
        if kind != "role":
            found = self._directory.user(name)
            return Principal("User", account, arn, unique_id=found.id if found else "")
        session = f"arn:{segments[1]}:sts::{account}:assumed-role/{name}/simulated"
        return Principal("AssumedRole", account, session, role_arn=arn)

    def _holder(self, call: Call) -> Holder:
        arn = call.params["PolicySourceArn"]
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        if kind not in self._finders:
            raise invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
        return self._finders[kind](rest.rpartition("/")[2])

    def _policies_of(self, holder: Holder, texts: Texts, excluded: Iterable[Fields]) -> tuple[Named, ...]:
        """Own policies and those of a user's groups. Inline ones are called role_NAME_POLICY, as in AWS's answers."""
        exclusions = list(excluded)
        kind = type(holder).__name__.lower()
        spared = [entry["PolicyArn"] for entry in exclusions if "PolicyArn" in entry]
        identifiers = [entry["InlinePolicyIdentifier"] for entry in exclusions if "InlinePolicyIdentifier" in entry]
        names = {one["PolicyName"] for one in identifiers if _is_of(one, kind, holder.name)}
        inline = [
            texts.add(f"{kind}_{holder.name}_{name}", text, "identity")
            for name, text in holder.inline.items()
            if name not in names
        ]
        attached = [arn for arn in holder.attached if not any(fnmatch.fnmatchcase(arn, one) for one in spared)]
        own = (*inline, *(found for arn in attached if (found := self._managed(arn, texts, "identity"))))
        if not isinstance(holder, User):
            return own
        groups = [group for name in holder.groups if (group := self._directory.group(name))]
        return (*own, *(found for group in groups for found in self._policies_of(group, texts, exclusions)))

    def _managed(self, arn: str, texts: Texts, kind: Kind) -> Named | None:
        policy = self._directory.policy(arn)
        return texts.add(policy.name, policy.document, kind) if policy else None

    def _custom_keys(self, call: Call) -> Fields:
        texts = Texts()
        texts.all("PolicyInputList", call.params["PolicyInputList"], "identity")
        return _keys(texts)

    def _principal_keys(self, call: Call) -> Fields:
        texts = Texts()
        texts.all("PolicyInputList", call.params.get("PolicyInputList", ()), "identity")
        self._policies_of(self._holder(call), texts, ())
        return _keys(texts)


def _is_of(identifier: Fields, kind: str, name: str) -> bool:
    """Whether an inline policy's identifier means this holder; its name may have wildcards."""
    same_kind: bool = identifier["AttachmentType"].lower() == kind
    return same_kind and fnmatch.fnmatchcase(name, identifier["AttachmentName"])


def _source_target(call: Call) -> Target:
    return Target(call.params["PolicySourceArn"])


def _context(entries: Iterable[Fields]) -> dict[str, ContextValue]:
    """The keys that the caller tells; a list type has many values, also where it has one."""
    found: dict[str, ContextValue] = {}
    for entry in entries:
        values, many = entry.get("ContextKeyValues", []), entry.get("ContextKeyType", "").endswith("List")
        if len(values) > 1 and not many:
            raise invalid(f"Context key {entry.get('ContextKeyName')} has several values, and no list type.")
        if values or many:
            found[entry["ContextKeyName"]] = tuple(values) if many else values[0]
    return found


def _keys(texts: Texts) -> Fields:
    found = {key.lower(): key for text in texts.texts.values() for key in keys_of(text)}
    return {"ContextKeyNames": sorted(found.values())}
