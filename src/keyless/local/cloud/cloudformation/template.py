"""The parts of a template, and what is wrong with it before anything is made. Pure.

Texts are CloudFormation's own. Spec:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from keyless.local.cloud.cloudformation import documents
from keyless.local.cloud.cloudformation.intrinsics import PSEUDO, conditions_in, references, single
from keyless.local.cloud.cloudformation.kinds import KINDS
from keyless.local.cloud.errors import AwsError, validation

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
    "Hooks",
}
_NOT_HERE = ("Rules", "Transform", "Hooks")
_OF_RESOURCES = {
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
}
_MOST_RESOURCES = 500
_NO_RESOURCES = "Template format error: At least one Resources member must be defined."


@dataclass(frozen=True, slots=True)
class Template:
    """A template whose structure is sound."""

    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What a caller must acknowledge: that IAM resources are made, or that they bear names of the template's."""
        found = [(one, KINDS[one["Type"]]) for one in self.resources.values() if KINDS[one["Type"]].is_iam]
        if any(kind.name_property in (one.get("Properties") or {}) for one, kind in found if kind.name_property):
            return ("CAPABILITY_NAMED_IAM",)
        return ("CAPABILITY_IAM",) if found else ()

    @property
    def iam_types(self) -> tuple[str, ...]:
        """The types that make the capability necessary."""
        return tuple(sorted({one["Type"] for one in self.resources.values() if KINDS[one["Type"]].is_iam}))


@lru_cache(maxsize=64)
def parse(text: str) -> Template:
    """The template of ``text``; raises ValidationError, with every type named that is not here."""
    found = documents.read_untrusted(text)
    with documents.well_shaped():
        return _parsed(found)


def _parsed(found: Mapping[str, Any]) -> Template:
    if unknown := sorted(set(found) - _SECTIONS):
        raise validation(f"Invalid template property or properties [{', '.join(unknown)}]")
    for section in _NOT_HERE:
        if section in found:
            raise validation(f"Template format error: this cloud has no {section}.")
    if found.get("AWSTemplateFormatVersion", "2010-09-09") != "2010-09-09":
        raise validation("Template format error: unsupported value for AWSTemplateFormatVersion.")
    template = Template(
        description=str(found.get("Description", "")),
        parameters=_section(found, "Parameters"),
        mappings=_section(found, "Mappings"),
        conditions=_section(found, "Conditions"),
        resources=_section(found, "Resources"),
        outputs=_section(found, "Outputs"),
    )
    _check(template)
    return template


def _section(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = found.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise validation(f"Template format error: {name} must be an object.")
    if name != "Conditions":
        for key, value in section.items():
            if not isinstance(value, dict):
                kind = name.removesuffix("s")
                raise validation(f"Template format error: [/{name}/{key}] Every {kind} must be an object.")
    return section


def _check(template: Template) -> None:
    if not template.resources:
        raise validation(_NO_RESOURCES)
    if len(template.resources) > _MOST_RESOURCES:
        text = f"Template format error: Number of resources, {len(template.resources)}, is greater than maximum allowed"
        raise validation(f"{text}, {_MOST_RESOURCES}")
    unrecognized = sorted({t for one in template.resources.values() if (t := _type_of(one)) and t not in KINDS})
    if unrecognized:
        raise validation(f"Template format error: Unrecognized resource types: [{', '.join(unrecognized)}]")
    for name, one in template.resources.items():
        _check_resource(name, one)
    for body in template.outputs.values():
        _check_output(body)
    _check_references(template)
    _check_cycles(template)


def _type_of(one: Mapping[str, Any]) -> str:
    found = one.get("Type")
    return found if isinstance(found, str) else ""


def _check_resource(name: str, one: Mapping[str, Any]) -> None:
    if not (name.isascii() and name.isalnum()):
        raise validation(f"Template format error: Resource name {name} is non alphanumeric.")
    if not _type_of(one):
        raise validation(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    if unknown := sorted(set(one) - _OF_RESOURCES):
        raise validation(f"Invalid template resource property '{unknown[0]}'")
    if not isinstance(one.get("Properties") or {}, dict):
        raise validation(f"Template format error: [/Resources/{name}/Properties] 'null' values are not allowed")
    policy = one.get("DeletionPolicy", "Delete")
    if policy not in ("Delete", "Retain", "RetainExceptOnCreate"):
        raise validation(f"Template error: DeletionPolicy {policy} is not supported for {one['Type']}")


def _check_output(body: Mapping[str, Any]) -> None:
    if "Value" not in body:
        raise validation("Template format error: Every Outputs member must contain a Value object")
    value = body["Value"]
    if isinstance(value, list) or (isinstance(value, dict) and single(value) is None):
        raise validation("Template format error: The Value field of every Outputs member must evaluate to a String.")


def _check_references(template: Template) -> None:
    known = {*template.parameters, *template.resources, *PSEUDO}
    for block, value in (("Resources", template.resources), ("Outputs", template.outputs)):
        missing = sorted({one.name for one in references(value) if not one.attribute} - known)
        if missing:
            raise validation(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}]"
                f" in the {block} block of the template"
            )
        for one in references(value):
            if one.attribute:
                _check_attribute(template, one.name, one.attribute)
        for condition in conditions_in(value):
            if condition not in template.conditions:
                text = f"Template format error: Unresolved condition dependency {condition}"
                raise validation(f"{text} in the {block} block of the template")
    for _, needed in depends_on(template):
        if needed not in template.resources:
            text = f"Template format error: Unresolved resource dependencies [{needed}] in the Resources block"
            raise validation(f"{text} of the template")
    if any(one.name in template.resources or one.attribute for one in references(template.conditions)):
        raise validation("Template error: conditions may not refer to resources")


def _check_attribute(template: Template, name: str, attribute: str) -> None:
    if name not in template.resources:
        raise validation(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
    if attribute not in KINDS[template.resources[name]["Type"]].attributes:
        text = f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
        raise validation(text)


def depends_on(template: Template) -> Iterator[tuple[str, str]]:
    """(resource, what its DependsOn names), one by one."""
    for name, one in template.resources.items():
        named = one.get("DependsOn") or ()
        for needed in (named,) if isinstance(named, str) else named:
            yield name, str(needed)


def needs(template: Template) -> dict[str, set[str]]:
    """For each resource the other resources that must be there before it."""
    found = {
        name: {one.name for one in references(body.get("Properties") or {})} & set(template.resources)
        for name, body in template.resources.items()
    }
    for name, needed in depends_on(template):
        found[name].add(needed)
    return found


def in_order(wanted: Mapping[str, set[str]]) -> list[str]:
    """The names, each behind what it needs; raises ValidationError where they need each other."""
    left, ordered = dict(wanted), list[str]()
    while left:
        ready = [name for name, needed in left.items() if not needed & set(left)]
        if not ready:
            raise _circular(left)
        for name in ready:
            ordered.append(name)
            del left[name]
    return ordered


def _circular(left: Mapping[str, set[str]]) -> AwsError:
    return validation(f"Circular dependency between resources: [{', '.join(sorted(left))}]")


def _check_cycles(template: Template) -> None:
    in_order(needs(template))
