"""What is left in Kubernetes once AWS is as it should be: commands, and none where nothing is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from keyless.cli.handing_over import ANNOTATION, handed_over
from keyless.identity.grants import Asked, Way, gather, plan
from keyless.identity.verify import Space
from keyless.identity.verify.values import flatten
from unit.identity.grants.fake_aws import ACCOUNT, FakeAws
from unit.identity.grants.test_grants import asked, host_namespace

ROLE = f"arn:aws:iam::{ACCOUNT}:role/keyless-billing"


def space(role: str = "", secret: str = "") -> Space:
    annotations = {ANNOTATION: role} if role else {}
    values: dict[str, object] = {
        "billing": {"storage": {"secretRef": {"name": secret}}},
        "controlPlanes": {"vector": {"serviceAccount": {"customAnnotations": annotations}}},
    }
    return Space(flatten(values), (), frozenset())


def left(wanted: Asked, known: Space, annotated: dict[tuple[str, str], str] | None = None) -> tuple[str, ...]:
    made = plan(wanted, asyncio.run(gather(wanted, FakeAws())))
    return handed_over(wanted, made, known, annotated or {})


def test_the_role_is_named_in_the_values_and_pods_are_made_anew_after_it_arrived() -> None:
    upgrade, restart = left(asked(1, 2), space(secret="billing-storage"))

    assert upgrade.startswith("helm upgrade spaces spaces-helm-chart --reuse-values")
    assert f"={ROLE}" in upgrade
    assert "billing.storage.secretRef.name=" in upgrade
    assert restart.index("kubectl wait") < restart.index("kubectl rollout restart deployment vector")


def test_nothing_is_left_where_the_values_name_the_role_already() -> None:
    assert left(asked(1, 2), space(ROLE)) == ()


def test_with_associations_no_value_is_set_and_pods_are_made_anew_once() -> None:
    (restart,) = left(asked(1, way=Way.PODS), space())
    assert "rollout restart deployment vector" in restart

    aws = FakeAws()
    aws.associations["a"] = {
        "associationId": "a",
        "namespace": host_namespace(1),
        "serviceAccount": "vector",
        "roleArn": ROLE,
    }
    made = plan(asked(1, way=Way.PODS), asyncio.run(gather(asked(1, way=Way.PODS), aws)))
    assert handed_over(asked(1, way=Way.PODS), made, space(), {}) == ()


def test_subjects_over_several_roles_are_annotated_each_by_its_own() -> None:
    wanted = asked(*range(50))
    upgrade, *loops = left(wanted, space(ROLE))

    assert upgrade.endswith(r"eks\.amazonaws\.com/role-arn=null" + '"')
    assert len(loops) == 3
    assert all(f"{ROLE}{tail} " in loop for tail, loop in zip(("", "-2", "-3"), loops, strict=True))
    named = [word for loop in loops for word in loop.replace(";", " ").split() if word.startswith("mxp-")]
    assert sorted(named) == [host_namespace(n) for n in range(50)]


def test_who_is_annotated_already_is_left_alone() -> None:
    wanted = asked(*range(50))
    made = plan(wanted, asyncio.run(gather(wanted, FakeAws())))
    known = {
        (host_namespace(n), "vector"): ROLE.replace(
            "keyless-billing", made.places[f"system:serviceaccount:{host_namespace(n)}:vector"]
        )
        for n in range(50)
    }
    assert handed_over(wanted, made, space(), known) == ()


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_the_roles_bear_the_partition(partition: str) -> None:
    wanted = replace(asked(1), cluster=replace(asked(1).cluster, partition=partition))
    assert f"arn:{partition}:iam::" in left(wanted, space())[0]
