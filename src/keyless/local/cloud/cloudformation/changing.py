"""CreateStack, UpdateStack, DeleteStack, UpdateTerminationProtection: everything is checked, then the engine begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.call import Call
from keyless.local.cloud.cloudformation import documents, parameters, progress, proposals
from keyless.local.cloud.cloudformation.actor import Actors
from keyless.local.cloud.cloudformation.engine import Engine
from keyless.local.cloud.cloudformation.finding import Finding, checked_name, tags_asked
from keyless.local.cloud.cloudformation.model import Stack, Wish
from keyless.local.cloud.cloudformation.plan import IN_PROGRESS
from keyless.local.cloud.cloudformation.target import target_of
from keyless.local.cloud.cloudformation.template import parse
from keyless.local.cloud.errors import AwsError, validation
from keyless.local.cloud.service import Operation

_MOST_TAGS = 50
_USER = "User Initiated"
_UPDATABLE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_FAILED"}
)
_NO_TEMPLATE = "Either Template URL or Template Body must be specified."


class Changing:
    """The operations that change stacks."""

    def __init__(self, engine: Engine, finding: Finding, actors: Actors) -> None:
        self._engine = engine
        self._store = engine.store
        self._finding = finding
        self._actors = actors

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateStack", self._create, self._finding.with_role),
            Operation("UpdateStack", self._update, self._finding.with_role),
            Operation("DeleteStack", self._delete, self._finding.with_role),
            Operation("UpdateTerminationProtection", self._protect, self._finding.on_stack),
        )

    async def _create(self, call: Call) -> dict[str, Any]:
        params, name = call.params, checked_name(call.params["StackName"])
        if found := self._store.stack(name):
            if params.get("ClientRequestToken") and found.request_token == params["ClientRequestToken"]:
                return {"StackId": found.id}
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists", status=400)
        stack_id = call.arn(f"stack/{name}/{uuid4()}", service="cloudformation")
        wish = self.wish(call, None, stack_id)
        stack = Stack(
            id=stack_id,
            name=name,
            status="CREATE_IN_PROGRESS",
            reason=_USER,
            created_at=call.now,
            wish=wish,
            actor=self._actors.of(call, wish.role_arn, stack_id),
            description=parse(wish.template).description,
            on_failure=_on_failure(call),
            protected=params.get("EnableTerminationProtection", False),
            request_token=params.get("ClientRequestToken", ""),
            notification_arns=tuple(params.get("NotificationARNs") or ()),
            timeout_minutes=params.get("TimeoutInMinutes", 0),
        )
        self._engine.begin(stack)
        await self._engine.settle(stack.id)
        return {"StackId": stack.id}

    async def _update(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"], "Stack [{}] does not exist")
        wish = self.wish(call, stack, stack.id)
        if proposals.is_same(stack, wish):
            raise validation(proposals.NOTHING)
        await self.begin_update(call, stack, wish, call.params.get("DisableRollback", False))
        return {"StackId": stack.id}

    async def begin_update(self, call: Call, stack: Stack, wish: Wish, keep_failed: bool) -> None:
        """Take a stack from what it is to ``wish``."""
        if stack.status not in _UPDATABLE:
            raise validation(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        begun = replace(
            progress.settled(stack),
            status="UPDATE_IN_PROGRESS",
            reason=_USER,
            wish=wish,
            before=stack.wish,
            actor=self._actors.of(call, wish.role_arn, stack.id),
            description=parse(wish.template).description,
            updated_at=call.now,
            on_failure="DO_NOTHING" if keep_failed else "ROLLBACK",
            request_token=call.params.get("ClientRequestToken", ""),
        )
        self._engine.begin(begun)
        await self._engine.settle(stack.id)

    async def _delete(self, call: Call) -> None:
        stack = self._store.stack(call.params["StackName"])
        if stack is None or stack.is_gone:
            return
        if stack.protected:
            raise validation(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.status in IN_PROGRESS and stack.status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
            raise validation(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        retained = tuple(call.params.get("RetainResources") or ())
        if retained and stack.status != "DELETE_FAILED":
            text = (
                f"Invalid operation on stack [{stack.id}]. When you delete a stack, specify which resources to retain"
            )
            raise validation(f"{text} only when the stack is in the DELETE_FAILED state.")
        role = call.params.get("RoleARN") or stack.wish.role_arn
        begun = replace(
            progress.retrying(stack),
            status="DELETE_IN_PROGRESS",
            reason=_USER,
            actor=self._actors.of(call, role, stack.id),
            retain=retained,
            request_token=call.params.get("ClientRequestToken", ""),
        )
        self._engine.begin(begun)
        await self._engine.settle(stack.id)

    def _protect(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"], "Stack [{}] does not exist")
        self._store.save(replace(stack, protected=call.params["EnableTerminationProtection"]))
        return {"StackId": stack.id}

    def wish(self, call: Call, stack: Stack | None, stack_id: str) -> Wish:
        """What a call asks a stack to be; raises for everything that can be known before anything is made."""
        with documents.well_shaped():
            return self._wish(call, stack, stack_id)

    def _wish(self, call: Call, stack: Stack | None, stack_id: str) -> Wish:
        params = call.params
        text = template_text(call, stack)
        template = parse(text)
        capabilities = tuple(params.get("Capabilities") or ())
        proposals.acknowledged(template, capabilities)
        previous = stack.wish.parameters if stack else None
        tags = tags_asked(call)
        if stack and "Tags" not in params:
            tags = dict(stack.wish.tags)
        _check_tags(tags)
        wish = Wish(
            text,
            parameters.values(template, params.get("Parameters") or (), previous),
            tags,
            capabilities,
            params.get("RoleARN") or (stack.wish.role_arn if stack else ""),
        )
        target_of(wish, stack_id)
        if stack:
            proposals.same_types(stack, wish)
            proposals.changes(stack, wish)
        return wish


def template_text(call: Call, stack: Stack | None) -> str:
    """The template that a call brings, or the one that the stack has."""
    params = call.params
    if params.get("UsePreviousTemplate"):
        if stack is None or not stack.wish.template:
            raise validation("UsePreviousTemplate cannot be specified for a stack that does not exist yet")
        return stack.wish.template
    if params.get("TemplateURL"):
        raise validation("TemplateURL: this cloud reads templates from TemplateBody alone")
    if not params.get("TemplateBody"):
        raise validation(_NO_TEMPLATE)
    text: str = params["TemplateBody"]
    return text


def _on_failure(call: Call) -> str:
    disabled, wanted = call.params.get("DisableRollback"), call.params.get("OnFailure")
    if disabled is not None and wanted is not None:
        raise validation("You may specify either OnFailure or DisableRollback, but not both.")
    return "DO_NOTHING" if disabled else wanted or "ROLLBACK"


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > _MOST_TAGS:
        raise validation(f"Number of tags, {len(tags)}, is greater than maximum allowed, {_MOST_TAGS}")
    if any(key.lower().startswith("aws:") for key in tags):
        raise validation("System tags (aws:) can not be specified by users")
