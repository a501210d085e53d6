"""Inline and attached policies of roles, users and groups: the same operations under three names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.iam import checks, shapes
from keyless.local.cloud.iam.directory import Directory, Holder
from keyless.local.cloud.service import Operation


class HolderPolicies:
    """``kind`` is ``Role``, ``User`` or ``Group``, as the operations' names spell it.

    ``change`` finds a holder that is about to change, where that is more than finding it.
    """

    def __init__(
        self,
        directory: Directory,
        kind: str,
        *,
        find: Callable[[str], Holder],
        change: Callable[[str], Holder] | None = None,
        target: Callable[[Call], Target],
    ) -> None:
        self._directory = directory
        self._kind = kind
        self._find = find
        self._change = change or find
        self._target = target

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        kind = self._kind
        return (
            Operation(f"Put{kind}Policy", self._put, self._target),
            Operation(f"Get{kind}Policy", self._get, self._target),
            Operation(f"List{kind}Policies", self._list, self._target),
            Operation(f"Delete{kind}Policy", self._delete, self._target),
            Operation(f"Attach{kind}Policy", self._attach, self._with_policy),
            Operation(f"Detach{kind}Policy", self._detach, self._with_policy),
            Operation(f"ListAttached{kind}Policies", self._list_attached, self._target),
        )

    def _with_policy(self, call: Call) -> Target:
        target = self._target(call)
        return replace(target, keys={**target.keys, "iam:PolicyARN": call.params["PolicyArn"]})

    def _holder(self, call: Call) -> Holder:
        return self._find(call.params[f"{self._kind}Name"])

    def _changeable(self, call: Call) -> Holder:
        return self._change(call.params[f"{self._kind}Name"])

    def _put(self, call: Call) -> None:
        holder, name = self._changeable(call), call.params["PolicyName"]
        others = [text for other, text in holder.inline.items() if other != name]
        text = checks.inline(call.params["PolicyDocument"], others, kind=self._kind.lower(), name=holder.name)
        self._directory.save(replace(holder, inline={**holder.inline, name: text}))

    def _inline(self, holder: Holder, name: str) -> str:
        if name not in holder.inline:
            raise checks.missing(f"The {self._kind.lower()} policy with name {name} cannot be found.")
        return holder.inline[name]

    def _get(self, call: Call) -> dict[str, Any]:
        holder, name = self._holder(call), call.params["PolicyName"]
        text = shapes.encoded(self._inline(holder, name))
        return {f"{self._kind}Name": holder.name, "PolicyName": name, "PolicyDocument": text}

    def _list(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "PolicyNames", sorted(self._holder(call).inline))

    def _delete(self, call: Call) -> None:
        holder, name = self._changeable(call), call.params["PolicyName"]
        self._inline(holder, name)
        kept = {other: text for other, text in holder.inline.items() if other != name}
        self._directory.save(replace(holder, inline=kept))

    def _attach(self, call: Call) -> None:
        holder, arn = self._changeable(call), call.params["PolicyArn"]
        if self._directory.policy(arn) is None:
            raise checks.missing(f"Policy {arn} does not exist or is not attachable.")
        if arn in holder.attached:
            return
        if len(holder.attached) >= checks.MANAGED_PER_HOLDER:
            raise checks.beyond(f"Cannot exceed quota for PoliciesPer{self._kind}: {checks.MANAGED_PER_HOLDER}")
        self._directory.save(replace(holder, attached=(*holder.attached, arn)))

    def _detach(self, call: Call) -> None:
        holder, arn = self._changeable(call), call.params["PolicyArn"]
        if arn not in holder.attached:
            raise checks.missing(f"Policy {arn} was not found.")
        self._directory.save(replace(holder, attached=tuple(other for other in holder.attached if other != arn)))

    def _list_attached(self, call: Call) -> dict[str, Any]:
        policies = [self._directory.policy(arn) for arn in self._holder(call).attached]
        prefix = call.params.get("PathPrefix", "/")
        attached = [
            {"PolicyName": policy.name, "PolicyArn": policy.arn}
            for policy in policies
            if policy and policy.path.startswith(prefix)
        ]
        return shapes.page(call, "AttachedPolicies", attached)
