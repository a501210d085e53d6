"""A stack's work stopped after each of its steps, as ``kill -9`` stops it, and taken up by the next process."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cloud.cloudformation.engine import Engine
from unit.local.cloud.cloudformation.templates import POD_ROLE, POLICY, READ_ONLY, a_role, text
from unit.local.cloud.support import World, document

ASSOCIATION = {
    "Type": "AWS::EKS::PodIdentityAssociation",
    "Properties": {
        "ClusterName": "keyless",
        "Namespace": "default",
        "ServiceAccount": "reader",
        "RoleArn": {"Fn::GetAtt": "Role1.Arn"},
    },
}
FIRST = text({"Role1": POD_ROLE, "Policy1": POLICY, "Link": ASSOCIATION})
SECOND = text({"Role1": a_role(Path="/pods/"), "Policy1": POLICY, "Link": ASSOCIATION})
BROKEN = text(
    {
        "Role1": a_role(Path="/pods/"),
        "Link": ASSOCIATION,
        "Role2": a_role(ManagedPolicyArns=[f"{READ_ONLY}Not"]),
    }
)
CAPABLE = {"StackName": "roles", "Capabilities": ["CAPABILITY_IAM"]}


class Killed(BaseException):
    """The process ends here."""


def killed_after(world: World, steps: int, work: Any) -> None:
    """Run ``work``, and let the process end after so many steps, in the middle of the next one's writing."""
    engine: Engine = world.cloud.cloudformation.engine
    left = steps

    async def settle(stack_id: str) -> None:
        nonlocal left
        while left and await engine.step(stack_id):
            left -= 1

    engine.settle = settle  # type: ignore[method-assign]  # the process ends before the engine goes on
    work()
    world.restart()


def resume(world: World) -> None:
    world.loop.run(world.cloud.cloudformation.engine.resume())


def seen(world: World) -> Any:
    """What there is in the account, by the stack's record and by the services themselves."""
    cfn, iam, eks = world.aws("cloudformation"), world.aws("iam"), world.aws("eks")
    stacks = cfn.describe_stacks()["Stacks"]
    roles = {one["RoleName"]: one["Path"] for one in iam.list_roles()["Roles"] if one["RoleName"] != "keyless-node"}
    links = [
        eks.describe_pod_identity_association(clusterName="keyless", associationId=one["associationId"])["association"]
        for one in eks.list_pod_identity_associations(clusterName="keyless")["associations"]
    ]
    return (
        [one["StackStatus"] for one in stacks],
        sorted(roles.values()),
        sorted(policy for name in roles for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]),
        [link["roleArn"].rpartition("/")[2] in roles for link in links],
    )


@pytest.mark.parametrize("steps", range(6))
def test_a_creation_stopped_after_any_step_is_finished_by_the_next_process(world: World, steps: int) -> None:
    killed_after(world, steps, lambda: world.aws("cloudformation").create_stack(TemplateBody=FIRST, **CAPABLE))
    resume(world)
    assert seen(world) == (["CREATE_COMPLETE"], ["/"], ["roles-Policy1"], [True])


@pytest.mark.parametrize("steps", range(9))
def test_a_replacement_stopped_after_any_step_leaves_one_role(world: World, steps: int) -> None:
    world.aws("cloudformation").create_stack(TemplateBody=FIRST, **CAPABLE)
    killed_after(world, steps, lambda: world.aws("cloudformation").update_stack(TemplateBody=SECOND, **CAPABLE))
    resume(world)
    assert seen(world) == (["UPDATE_COMPLETE"], ["/pods/"], ["roles-Policy1"], [True])


@pytest.mark.parametrize("steps", range(12))
def test_a_failed_update_stopped_after_any_step_still_goes_back(world: World, steps: int) -> None:
    world.aws("cloudformation").create_stack(TemplateBody=FIRST, **CAPABLE)
    killed_after(world, steps, lambda: world.aws("cloudformation").update_stack(TemplateBody=BROKEN, **CAPABLE))
    resume(world)
    assert seen(world) == (["UPDATE_ROLLBACK_COMPLETE"], ["/"], ["roles-Policy1"], [True])


@pytest.mark.parametrize("steps", range(6))
def test_a_failed_creation_stopped_after_any_step_leaves_nothing(world: World, steps: int) -> None:
    killed_after(world, steps, lambda: world.aws("cloudformation").create_stack(TemplateBody=BROKEN, **CAPABLE))
    resume(world)
    assert seen(world) == (["ROLLBACK_COMPLETE"], [], [], [])


@pytest.mark.parametrize("steps", range(5))
def test_a_deletion_stopped_after_any_step_is_finished(world: World, steps: int) -> None:
    world.aws("cloudformation").create_stack(TemplateBody=FIRST, **CAPABLE)
    killed_after(world, steps, lambda: world.aws("cloudformation").delete_stack(StackName="roles"))
    resume(world)
    assert seen(world) == ([], [], [], [])


def test_a_process_that_ends_between_the_call_and_its_record_makes_no_second_association(world: World) -> None:
    engine: Engine = world.cloud.cloudformation.engine
    write = engine._write

    def dying(stack: Any, *told: Any) -> None:
        if any(one.logical_id == "Link" and one.status == "CREATE_COMPLETE" for one in told):
            raise Killed
        write(stack, *told)

    engine._write = dying  # type: ignore[method-assign]  # the process ends there

    async def settle(stack_id: str) -> None:
        try:
            while await engine.step(stack_id):
                pass
        except Killed:
            return

    engine.settle = settle  # type: ignore[method-assign]  # the exception stands for the end of the process
    world.aws("cloudformation").create_stack(TemplateBody=FIRST, **CAPABLE)
    world.restart()
    assert seen(world)[0] == ["CREATE_IN_PROGRESS"]
    resume(world)
    assert seen(world) == (["CREATE_COMPLETE"], ["/"], ["roles-Policy1"], [True])


def test_the_work_goes_on_as_the_same_caller_after_a_restart(world: World) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    allowed = {"Effect": "Allow", "Action": ["cloudformation:*", "iam:*", "eks:*"], "Resource": "*"}
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=document(allowed))
    theirs = world.aws("cloudformation", iam.create_access_key(UserName="dev")["AccessKey"])
    killed_after(world, 1, lambda: theirs.create_stack(TemplateBody=FIRST, **CAPABLE))
    world.aws("iam").put_user_policy(
        UserName="dev", PolicyName="p", PolicyDocument=document({**allowed, "Action": ["iam:Delete*"]})
    )
    resume(world)
    assert seen(world) == (["ROLLBACK_COMPLETE"], [], [], [])
