"""The policy that refuses the deletion of what is protected: its own expressions, evaluated as CEL."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from cel_expr_python.cel import NewEnv, Type

PROTECTION = "keyless.dev/deletion-protection"
WORDS = [("true", True), ("yes", True), ("false", False), ("", False)]


async def _policy(helm) -> dict[str, Any]:
    flags = ("--set", "operator.admissionPolicy=true")
    code, out, errors = await helm("template", "spaces", "spaces-helm-chart", "-n", "spaces", *flags)
    assert code == 0, errors
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}
    binding = found["ValidatingAdmissionPolicyBinding", "spaces-deletion-protection"]["spec"]
    assert binding == {"policyName": "spaces-deletion-protection", "validationActions": ["Deny"]}
    return found["ValidatingAdmissionPolicy", "spaces-deletion-protection"]["spec"]


def _refusals(policy: dict[str, Any], resource: str, metadata: dict[str, Any]) -> list[str]:
    """What the API server would answer to a deletion; as there, a variable may use those before it."""
    names = {"request": Type.DYN, "oldObject": Type.DYN, "variables": Type.DYN}
    environment = NewEnv(variables=names)
    told: dict[str, Any] = {"request": {"resource": {"resource": resource}}, "oldObject": {"metadata": metadata}}
    variables: dict[str, Any] = {}
    for each in policy["variables"]:
        variables[each["name"]] = (
            environment.compile(each["expression"]).eval(data=told | {"variables": variables}).value()
        )
    facts = told | {"variables": variables}
    return [
        environment.compile(each["messageExpression"]).eval(data=facts).value()
        for each in policy["validations"]
        if not environment.compile(each["expression"]).eval(data=facts).value()
    ]


async def test_deletions_of_control_planes_and_namespaces_are_asked_about_and_nothing_else(helm) -> None:
    policy = await _policy(helm)
    asked = {(each["apiGroups"][0], each["resources"][0]) for each in policy["matchConstraints"]["resourceRules"]}
    assert asked == {("spaces.upbound.io", "controlplanes"), ("", "namespaces")}
    assert all(each["operations"] == ["DELETE"] for each in policy["matchConstraints"]["resourceRules"])
    assert policy["failurePolicy"] == "Fail"


@pytest.mark.parametrize(("word", "protects"), WORDS)
async def test_a_control_plane_is_protected_by_its_annotation_and_told_what_takes_it_away(helm, word, protects) -> None:
    policy, metadata = await _policy(helm), {"name": "ctp1", "namespace": "team"}
    refusals = _refusals(policy, "controlplanes", {**metadata, "annotations": {PROTECTION: word}})
    assert bool(refusals) is protects
    commands = [re.findall(r"`([^`]+)`", each) for each in refusals]
    assert commands == ([[f"kubectl annotate controlplane ctp1 -n team {PROTECTION}-"]] if protects else [])
    for other in ({}, {"annotations": {"a": "b"}}, {"labels": {PROTECTION: "true"}}):
        assert _refusals(policy, "controlplanes", metadata | other) == []


@pytest.mark.parametrize(("word", "protects"), WORDS)
async def test_a_namespace_is_protected_by_its_annotation_or_by_the_operators_label(helm, word, protects) -> None:
    policy = await _policy(helm)
    by_hand = _refusals(policy, "namespaces", {"name": "team", "annotations": {PROTECTION: word}})
    assert bool(by_hand) is protects
    assert all(f"`kubectl annotate namespace team {PROTECTION}-`" in each for each in by_hand)
    marked = _refusals(policy, "namespaces", {"name": "mxp-1-system", "labels": {PROTECTION: word}})
    assert bool(marked) is protects
    assert all("`kubectl get controlplanes -A -o wide`" in each for each in marked)
    assert _refusals(policy, "namespaces", {"name": "kube-system", "labels": {"a": "b"}}) == []
