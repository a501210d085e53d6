"""The operations that read: stacks, resources, events, templates."""

from __future__ import annotations

from typing import Any

import orjson

from keyless.local.cloud.call import Call
from keyless.local.cloud.cloudformation import documents, parameters, shapes
from keyless.local.cloud.cloudformation.changing import template_text
from keyless.local.cloud.cloudformation.finding import Finding
from keyless.local.cloud.cloudformation.model import Resource, Stack
from keyless.local.cloud.cloudformation.store import Store
from keyless.local.cloud.cloudformation.template import Template, parse
from keyless.local.cloud.errors import validation
from keyless.local.cloud.service import Operation


class Reading:
    """Describe, list and get."""

    def __init__(self, store: Store, finding: Finding) -> None:
        self._store = store
        self._finding = finding

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        on_stack = self._finding.on_stack
        return (
            Operation("DescribeStacks", self._describe, on_stack),
            Operation("ListStacks", self._list),
            Operation("DescribeStackEvents", self._events, on_stack),
            Operation("DescribeStackResource", self._resource, on_stack),
            Operation("DescribeStackResources", self._resources, on_stack),
            Operation("ListStackResources", self._list_resources, on_stack),
            Operation("GetTemplate", self._template, on_stack),
            Operation("GetTemplateSummary", self._summary, on_stack),
            Operation("ValidateTemplate", self._validate),
        )

    def _describe(self, call: Call) -> dict[str, Any]:
        if name := call.params.get("StackName"):
            return {"Stacks": [shapes.stack(self._finding.stack(name))]}
        found = [shapes.stack(one) for one in self._store.stacks() if not one.is_gone]
        return shapes.page("Stacks", found, call.params.get("NextToken"))

    def _list(self, call: Call) -> dict[str, Any]:
        wanted = set(call.params.get("StackStatusFilter") or ())
        found = [shapes.summary(one) for one in self._store.stacks() if not wanted or one.status in wanted]
        return shapes.page("StackSummaries", found, call.params.get("NextToken"))

    def _events(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"], "Stack [{}] does not exist")
        found = [one.body for one in self._store.events(stack.id)]
        return shapes.page("StackEvents", found, call.params.get("NextToken"))

    def _resource(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"], "Stack '{}' does not exist")
        detail = shapes.resource(self._one(stack, call), time_name="LastUpdatedTimestamp")
        return {"StackResourceDetail": {**_of(stack), **detail, "Metadata": "{}"}}

    def _one(self, stack: Stack, call: Call) -> Resource:
        name = call.params["LogicalResourceId"]
        if name not in stack.resources:
            raise validation(f"Resource {name} does not exist for stack {stack.name}")
        return stack.resources[name]

    def _resources(self, call: Call) -> dict[str, Any]:
        params = call.params
        if physical := params.get("PhysicalResourceId"):
            stack = self._holding(physical)
        elif name := params.get("StackName"):
            stack = self._finding.stack(name)
        else:
            raise validation("Either PhysicalResourceId or StackName must be specified.")
        chosen = [self._one(stack, call)] if params.get("LogicalResourceId") else list(stack.resources.values())
        shown = [{**_of(stack), **shapes.resource(one, time_name="Timestamp")} for one in chosen]
        return {"StackResources": shown}

    def _holding(self, physical_id: str) -> Stack:
        for stack in self._store.stacks():
            if any(one.physical_id == physical_id for one in stack.resources.values()) and not stack.is_gone:
                return stack
        raise validation(f"Stack for {physical_id} does not exist")

    def _list_resources(self, call: Call) -> dict[str, Any]:
        stack = self._finding.stack(call.params["StackName"])
        found = [shapes.resource(one, time_name="LastUpdatedTimestamp") for one in stack.resources.values()]
        return shapes.page("StackResourceSummaries", found, call.params.get("NextToken"))

    def _template(self, call: Call) -> dict[str, Any]:
        text = ""
        if call.params.get("ChangeSetName"):
            text = self._finding.change_set(call).wish.template
        elif name := call.params.get("StackName"):
            text = self._finding.stack(name).wish.template
        else:
            raise validation("StackName is required if ChangeSetName is not specified.")
        return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}

    def _summary(self, call: Call) -> dict[str, Any]:
        name = call.params.get("StackName")
        text = self._finding.stack(name).wish.template if name else template_text(call, None)
        template = parse(text)
        body = documents.read_untrusted(text)
        types = list(dict.fromkeys(str(one["Type"]) for one in template.resources.values()))
        fields = {**_declared(template), "ResourceTypes": types}
        if "AWSTemplateFormatVersion" in body:
            fields["Version"] = str(body["AWSTemplateFormatVersion"])
        if "Metadata" in body:
            fields["Metadata"] = orjson.dumps(body["Metadata"]).decode()
        return fields

    def _validate(self, call: Call) -> dict[str, Any]:
        template = parse(template_text(call, None))
        fields = _declared(template)
        fields["Parameters"] = [
            {name: one[name] for name in ("ParameterKey", "DefaultValue", "NoEcho", "Description") if name in one}
            for one in parameters.declarations(template)
        ]
        return fields


def _of(stack: Stack) -> dict[str, str]:
    return {"StackName": stack.name, "StackId": stack.id}


def _declared(template: Template) -> dict[str, Any]:
    fields: dict[str, Any] = {"Parameters": parameters.declarations(template)}
    if template.description:
        fields["Description"] = template.description
    if template.capabilities:
        fields["Capabilities"] = list(template.capabilities)
        fields["CapabilitiesReason"] = (
            f"The following resource(s) require capabilities: [{', '.join(template.iam_types)}]"
        )
    return fields
