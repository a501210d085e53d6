"""Change sets: what an update would do, shown before it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.call import Call
from keyless.local.cloud.cloudformation import proposals, shapes
from keyless.local.cloud.cloudformation.actor import Actors
from keyless.local.cloud.cloudformation.changing import Changing
from keyless.local.cloud.cloudformation.engine import Engine
from keyless.local.cloud.cloudformation.finding import Finding, checked_name
from keyless.local.cloud.cloudformation.model import ChangeSet, Stack, Wish
from keyless.local.cloud.cloudformation.template import parse
from keyless.local.cloud.errors import AwsError, validation
from keyless.local.cloud.service import Operation

_REVIEW = "REVIEW_IN_PROGRESS"
_UNCHANGED = "The submitted information didn't contain changes. Submit different information to create a change set."
_NO_WISH = Wish("")


class ChangeSets:
    """The operations on change sets."""

    def __init__(self, engine: Engine, finding: Finding, changing: Changing, actors: Actors) -> None:
        self._engine = engine
        self._store = engine.store
        self._finding = finding
        self._changing = changing
        self._actors = actors

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        on_change_set = self._finding.on_change_set
        return (
            Operation("CreateChangeSet", self._create, self._finding.with_role),
            Operation("DescribeChangeSet", self._describe, on_change_set),
            Operation("ListChangeSets", self._list, self._finding.on_stack),
            Operation("ExecuteChangeSet", self._execute, on_change_set),
            Operation("DeleteChangeSet", self._delete, on_change_set),
        )

    def _create(self, call: Call) -> dict[str, Any]:
        params, name = call.params, call.params["ChangeSetName"]
        kind = params.get("ChangeSetType", "UPDATE")
        stack = self._stack(call, kind)
        if any(one.name == name for one in self._store.change_sets(stack.id)):
            raise AwsError("AlreadyExistsException", f"ChangeSet [{name}] already exists", status=400)
        wish = self._changing.wish(call, stack if stack.wish.template else None, stack.id)
        made = ChangeSet(
            id=call.arn(f"changeSet/{name}/{uuid4()}", service="cloudformation"),
            name=name,
            stack_id=stack.id,
            stack_name=stack.name,
            kind=kind,
            wish=wish,
            created_at=call.now,
            status="CREATE_COMPLETE",
            execution="AVAILABLE",
            description=params.get("Description", ""),
            changes=tuple(proposals.changes(stack, wish)),
            on_failure=params.get("OnStackFailure", ""),
        )
        if kind == "UPDATE" and proposals.is_same(stack, wish):
            made = replace(made, status="FAILED", execution="UNAVAILABLE", reason=_UNCHANGED)
        if self._store.stack(stack.id) is None:
            self._engine.begin(stack)
        self._store.save_change_set(made)
        return {"Id": made.id, "StackId": stack.id}

    def _stack(self, call: Call, kind: str) -> Stack:
        name = call.params["StackName"]
        found = self._store.stack(name)
        if kind == "IMPORT":
            raise validation("ChangeSetType IMPORT is not part of this cloud's cloudformation")
        if kind == "UPDATE":
            return self._finding.stack(name, "Stack [{}] does not exist")
        if found and found.status != _REVIEW:
            text = f"Stack [{name}] already exists and cannot be created again with the changeSet"
            raise validation(f"{text} [{call.params['ChangeSetName']}].")
        if found:
            return found
        stack_id = call.arn(f"stack/{checked_name(name)}/{uuid4()}", service="cloudformation")
        return Stack(stack_id, name, _REVIEW, call.now, _NO_WISH, reason="User Initiated")

    def _describe(self, call: Call) -> dict[str, Any]:
        found = self._finding.change_set(call)
        page = shapes.page("Changes", found.changes, call.params.get("NextToken"))
        return {**shapes.change_set(found), **page}

    def _list(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"], "Stack [{}] does not exist")
        found = [shapes.change_set_summary(one) for one in self._store.change_sets(stack.id)]
        return shapes.page("Summaries", found, call.params.get("NextToken"))

    async def _execute(self, call: Call) -> None:
        change_set = self._finding.change_set(call)
        if change_set.execution != "AVAILABLE":
            text = f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]"
            raise AwsError("InvalidChangeSetStatus", text, status=400)
        stack = self._finding.stack(change_set.stack_id, "Stack [{}] does not exist")
        self._store.remove_change_sets(*(one.id for one in self._store.change_sets(stack.id)))
        stack = replace(stack, change_set_id=change_set.id)
        if change_set.kind == "UPDATE":
            keep_failed = call.params.get("DisableRollback", change_set.on_failure == "DO_NOTHING")
            await self._changing.begin_update(call, stack, change_set.wish, keep_failed)
            return
        begun = replace(
            stack,
            status="CREATE_IN_PROGRESS",
            wish=change_set.wish,
            actor=self._actors.of(call, change_set.wish.role_arn, stack.id),
            description=parse(change_set.wish.template).description,
            on_failure="DO_NOTHING" if call.params.get("DisableRollback") else change_set.on_failure or "ROLLBACK",
            request_token=call.params.get("ClientRequestToken", ""),
        )
        self._engine.begin(begun)
        await self._engine.settle(stack.id)

    def _delete(self, call: Call) -> None:
        try:
            found = self._finding.change_set(call)
        except AwsError:
            return  # AWS answers the same whether it was there or not
        self._store.remove_change_sets(found.id)
