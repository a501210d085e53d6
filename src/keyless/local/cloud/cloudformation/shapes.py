"""Stacks, resources and change sets as the API shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cloud.cloudformation import parameters
from keyless.local.cloud.cloudformation.model import ChangeSet, Resource, Stack, Wish
from keyless.local.cloud.cloudformation.template import parse
from keyless.local.cloud.errors import validation

Fields = dict[str, Any]
_NOT_CHECKED = "NOT_CHECKED"


def tags(found: Mapping[str, str]) -> list[Fields]:
    """Tags as lists of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def stack(one: Stack) -> Fields:
    """A stack as DescribeStacks shows it."""
    fields: Fields = {
        "StackId": one.id,
        "StackName": one.name,
        "CreationTime": one.created_at,
        "StackStatus": one.status,
        "DisableRollback": one.on_failure == "DO_NOTHING",
        "NotificationARNs": list(one.notification_arns),
        "Capabilities": list(one.wish.capabilities),
        "Tags": tags(one.wish.tags),
        "EnableTerminationProtection": one.protected,
        "DriftInformation": {"StackDriftStatus": _NOT_CHECKED},
        "RollbackConfiguration": {},
    }
    optional: Fields = {
        "Description": one.description,
        "StackStatusReason": one.reason,
        "RoleARN": one.wish.role_arn,
        "Outputs": [dict(output) for output in one.outputs],
        "LastUpdatedTime": one.updated_at,
        "DeletionTime": one.deleted_at,
        "ChangeSetId": one.change_set_id,
        "TimeoutInMinutes": one.timeout_minutes,
        "Parameters": shown_parameters(one.wish),
    }
    return fields | {name: value for name, value in optional.items() if value}


def shown_parameters(wish: Wish) -> list[dict[str, str]]:
    """A wish's parameters; a stack in review has no template yet."""
    return parameters.shown(parse(wish.template), wish.parameters) if wish.template else []


def summary(one: Stack) -> Fields:
    """A stack as ListStacks shows it."""
    fields: Fields = {
        "StackId": one.id,
        "StackName": one.name,
        "CreationTime": one.created_at,
        "StackStatus": one.status,
        "DriftInformation": {"StackDriftStatus": _NOT_CHECKED},
    }
    optional: Fields = {
        "TemplateDescription": one.description,
        "StackStatusReason": one.reason,
        "LastUpdatedTime": one.updated_at,
        "DeletionTime": one.deleted_at,
    }
    return fields | {name: value for name, value in optional.items() if value}


def resource(one: Resource, *, time_name: str) -> Fields:
    """A resource; the operations call its time differently."""
    fields: Fields = {
        "LogicalResourceId": one.logical_id,
        "ResourceType": one.type,
        time_name: one.changed_at,
        "ResourceStatus": one.status,
        "DriftInformation": {"StackResourceDriftStatus": _NOT_CHECKED},
    }
    if one.physical_id:
        fields["PhysicalResourceId"] = one.physical_id
    if one.reason:
        fields["ResourceStatusReason"] = one.reason
    return fields


def change_set_summary(one: ChangeSet) -> Fields:
    """A change set as ListChangeSets shows it."""
    fields: Fields = {
        "ChangeSetId": one.id,
        "ChangeSetName": one.name,
        "StackId": one.stack_id,
        "StackName": one.stack_name,
        "CreationTime": one.created_at,
        "Status": one.status,
        "ExecutionStatus": one.execution,
        "IncludeNestedStacks": False,
    }
    optional = {"StatusReason": one.reason, "Description": one.description}
    return fields | {name: value for name, value in optional.items() if value}


def change_set(one: ChangeSet) -> Fields:
    """A change set as DescribeChangeSet shows it, but for its changes."""
    return {
        **change_set_summary(one),
        "Parameters": shown_parameters(one.wish),
        "Capabilities": list(one.wish.capabilities),
        "Tags": tags(one.wish.tags),
        "NotificationARNs": [],
        "RollbackConfiguration": {},
    }


def page(name: str, items: Sequence[Any], token: str | None, *, size: int = 100) -> Fields:
    """One page of ``items``; the token says where the next one begins."""
    if token and not is_digits(token):
        raise validation("1 validation error detected: Value at 'nextToken' is not a token of this operation")
    start = int(token or 0)
    fields: Fields = {name: list(items[start : start + size])}
    if start + size < len(items):
        fields["NextToken"] = str(start + size)
    return fields
