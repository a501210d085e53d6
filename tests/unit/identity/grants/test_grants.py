"""Grants: what is planned, in which order, and that any interruption, edit or refusal leaves a state to go on from."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.identity.grants import Asked, Mode, Outcome, Plan, Way, Wish, apply, gather, plan, render_text, undo
from keyless.identity.verify import Cluster
from keyless.policy import size
from unit.identity.grants.fake_aws import ACCOUNT, FakeAws, refused, throttled

CLUSTER = Cluster(
    "prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF0123456789ABCDEF0123456789", ACCOUNT, "eu-west-1"
)
DATA = {"Sid": "KeylessData", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::usage/*"]}
FOREIGN = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "sts:AssumeRole",
}


def host_namespace(number: int) -> str:
    return f"mxp-{number:08x}-0000-4000-8000-000000000000-system"


def asked(*numbers: int, way: Way = Way.IRSA, mode: Mode = Mode.EXACT, quota: int = 2048) -> Asked:
    wish = Wish("billing", "vector", "keyless-billing", (DATA,), tuple(map(host_namespace, numbers)))
    return Asked(CLUSTER, way, mode, (wish,), quota)


def planned(wanted: Asked, aws: FakeAws) -> Plan:
    return plan(wanted, asyncio.run(gather(wanted, aws)))


def carried_out(made: Plan, aws: FakeAws) -> tuple[Outcome, list[float]]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    return asyncio.run(apply(made, aws, pause=pause, tell=lambda _: None)), pauses


def applied(wanted: Asked, aws: FakeAws) -> Plan:
    made = planned(wanted, aws)
    assert carried_out(made, aws)[0] == Outcome(len(made.steps))
    return made


def state(aws: FakeAws) -> Any:
    return copy.deepcopy((aws.roles, aws.policies, aws.providers, aws.associations))


def trust_of(aws: FakeAws, role: str = "keyless-billing") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.roles[role]["AssumeRolePolicyDocument"]["Statement"]
    return found


@pytest.mark.parametrize("way", Way)
def test_applied_twice_changes_nothing_the_second_time(way: Way) -> None:
    aws = FakeAws()
    applied(asked(1, 2, way=way), aws)

    assert planned(asked(1, 2, way=way), aws).steps == ()


@pytest.mark.parametrize("way", Way)
def test_stopped_after_any_step_it_goes_on_to_the_same_end(way: Way) -> None:
    wanted, whole = asked(*range(30), way=way), FakeAws()
    count = len(applied(wanted, whole).steps)
    assert count > 3
    for stop in range(count):
        aws = FakeAws()
        made = planned(wanted, aws)
        carried_out(replace(made, steps=made.steps[:stop]), aws)
        applied(wanted, aws)
        assert state(aws) == state(whole), stop


@pytest.mark.parametrize("way", Way)
def test_a_control_plane_more_is_admitted_and_one_that_went_is_not(way: Way) -> None:
    aws = FakeAws()
    applied(asked(1, 2, way=way), aws)
    applied(asked(2, 3, way=way), aws)

    shown = json.dumps([aws.roles, aws.associations])
    if way is Way.PODS:
        shown = json.dumps(aws.associations)
    assert [host_namespace(n) in shown for n in (1, 2, 3)] == [False, True, True]


def test_statements_of_others_and_of_another_issuer_stay_through_apply_and_destroy() -> None:
    aws = FakeAws()
    trust = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN]})
    asyncio.run(aws.call("iam", "CreateRole", RoleName="keyless-billing", AssumeRolePolicyDocument=trust))
    green = replace(asked(1), cluster=replace(CLUSTER, issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/GREEN"))
    applied(green, aws)
    applied(asked(1), aws)
    assert len(trust_of(aws)) == 3

    carried_out(undo(asked(1), asyncio.run(gather(asked(1), aws))), aws)
    assert len(trust_of(aws)) == 2
    carried_out(undo(green, asyncio.run(gather(green, aws))), aws)
    assert trust_of(aws) == [FOREIGN]
    assert "keyless-billing" in aws.policies["keyless-billing"]


def test_a_hand_written_statement_that_admits_a_control_plane_is_adopted() -> None:
    aws, host = FakeAws(), CLUSTER.host_path
    condition = {
        "StringEquals": {
            f"{host}:aud": "sts.amazonaws.com",
            f"{host}:sub": f"system:serviceaccount:{host_namespace(1)}:vector",
        }
    }
    principal = {"Federated": CLUSTER.provider_arn}
    one = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [one]})
    asyncio.run(aws.call("iam", "CreateRole", RoleName="keyless-billing", AssumeRolePolicyDocument=trust))

    applied(asked(1), aws)

    assert trust_of(aws) == [one]


@pytest.mark.parametrize("way", Way)
def test_destroyed_nothing_of_ours_is_left(way: Way) -> None:
    aws = FakeAws()
    applied(asked(*range(30), way=way), aws)
    wanted = asked(*range(30), way=way)
    carried_out(undo(wanted, asyncio.run(gather(wanted, aws))), aws)

    assert (aws.roles, aws.associations) == ({}, {})


def test_the_last_control_plane_that_goes_leaves_a_role_that_admits_nobody() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    applied(asked(), aws)

    assert [one["Effect"] for one in trust_of(aws)] == ["Deny"]
    assert planned(asked(), aws).steps == ()
    applied(asked(2), aws)
    assert [one["Effect"] for one in trust_of(aws)] == ["Allow"]


def test_an_edit_between_plan_and_apply_is_not_overwritten() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    made = planned(asked(1, 2), aws)
    trust_of(aws).append(FOREIGN)
    before = state(aws)

    outcome, _ = carried_out(made, aws)

    assert "plan again" in outcome.stopped
    assert state(aws) == before


def test_a_statement_of_ours_that_a_person_changed_is_reported_not_fought() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    trust_of(aws)[0]["Action"] = "sts:*"

    with pytest.raises(Permanent, match="changed by somebody"):
        planned(asked(1), aws)


def test_throttling_and_propagation_are_waited_out_and_a_refusal_names_the_action() -> None:
    aws = FakeAws()
    aws.failures = [throttled(), throttled()]
    _, pauses = carried_out(planned(asked(1), aws), aws)
    assert pauses == [1.0, 2.0]

    aws = FakeAws()
    applied(asked(1, way=Way.PODS), aws)
    aws.failures = [refused("InvalidParameterException", "Role provided in the request does not exist")]
    outcome, pauses = carried_out(planned(asked(1, 2, way=Way.PODS), aws), aws)
    assert (outcome, pauses) == (Outcome(1), [1.0])

    aws = FakeAws()
    aws.failures = [refused("AccessDenied", "not authorized")]
    outcome, pauses = carried_out(planned(asked(1), aws), aws)
    assert "iam:CreateOpenIDConnectProvider" in outcome.stopped
    assert pauses == []


def test_throttled_without_end_it_stops_and_says_how_far_it_came() -> None:
    aws = FakeAws()
    aws.failures = [throttled()] * 100
    outcome, pauses = carried_out(planned(asked(1), aws), aws)

    assert outcome.done == 0
    assert "apply again" in outcome.stopped
    assert sum(pauses) <= 60


def test_a_role_deleted_under_us_stops_the_apply_and_the_next_one_makes_it_again() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    made = planned(asked(1, 2), aws)
    del aws.roles["keyless-billing"]
    outcome, _ = carried_out(made, aws)
    assert "NoSuchEntity" in outcome.stopped

    applied(asked(1, 2), aws)
    assert planned(asked(1, 2), aws).steps == ()


@pytest.mark.parametrize("mode", [Mode.SYSTEM, Mode.ANY])
def test_wider_modes_are_flagged_and_narrowing_takes_the_pattern_away(mode: Mode) -> None:
    aws = FakeAws()
    made = applied(asked(1, mode=mode), aws)
    assert "whoever can make one gets in" in render_text(made)
    assert "*" in json.dumps(trust_of(aws))

    applied(asked(1), aws)
    assert "*" not in json.dumps(trust_of(aws))


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_every_arn_carries_the_partition(partition: str) -> None:
    for way in Way:
        wanted = replace(asked(1, way=way), cluster=replace(CLUSTER, partition=partition))
        made = plan(wanted, asyncio.run(gather(wanted, FakeAws())))
        own = replace(made, steps=tuple(step for step in made.steps if step.operation != "PutRolePolicy"))
        text = json.dumps([[dict(step.params) for step in own.steps], own.operator])
        assert text.count("arn:") == text.count(f"arn:{partition}:")


def test_the_operators_own_policy_passes_roles_to_pods_alone() -> None:
    made = plan(asked(1, way=Way.PODS), asyncio.run(gather(asked(1, way=Way.PODS), FakeAws())))
    (passing,) = [one for one in made.operator["Statement"] if one["Action"] == "iam:PassRole"]

    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "pods.eks.amazonaws.com"}}
    assert all(":role/keyless-billing" in arn for arn in passing["Resource"])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sets(st.integers(0, 60), max_size=60), min_size=2, max_size=4), st.sampled_from([2048, 4096, 8192]))
def test_no_placed_subject_moves_and_every_trust_policy_fits(rounds: list[set[int]], quota: int) -> None:
    aws, before = FakeAws(), {}
    for numbers in rounds:
        made = applied(asked(*numbers, quota=quota), aws)
        assert set(made.places) == {f"system:serviceaccount:{host_namespace(n)}:vector" for n in numbers}
        assert all(made.places[subject] == role for subject, role in before.items() if subject in made.places)
        for role in aws.roles.values():
            assert size(json.dumps(role["AssumeRolePolicyDocument"])) <= quota
        for subject, role in made.places.items():
            assert subject in json.dumps(trust_of(aws, role))
        before = made.places


def test_a_thousand_control_planes_are_planned_over_roles_that_hold_about_twenty_each() -> None:
    made = planned(asked(*range(1000)), FakeAws())

    roles = set(made.places.values())
    assert 45 <= len(roles) <= 65
    assert any("annotate each" in warning for warning in made.warnings)


def test_with_no_feature_on_the_plan_says_that_nothing_was_asked_for() -> None:
    assert "no feature is on" in render_text(planned(replace(asked(1), wishes=()), FakeAws()))


def undone(wanted: Asked, aws: FakeAws) -> Plan:
    made = undo(wanted, asyncio.run(gather(wanted, aws)))
    assert carried_out(made, aws)[0] == Outcome(len(made.steps))
    return made


def widen_actions(aws: FakeAws) -> None:
    trust_of(aws)[0]["Action"] = "sts:*"


def admit_another(aws: FakeAws) -> None:
    trust_of(aws)[0]["Condition"] = {"StringEquals": {}}


def widen_data(aws: FakeAws) -> None:
    aws.policies["keyless-billing"]["keyless-billing"]["Statement"][0]["Resource"] = "*"


def deny_data(aws: FakeAws) -> None:
    aws.policies["keyless-billing"]["keyless-billing"]["Statement"][0]["Effect"] = "Deny"


EDITS = [widen_actions, admit_another, widen_data, deny_data]


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("edit", EDITS)
def test_a_persons_edit_of_our_statement_is_refused_by_plan_and_left_by_destroy(edit: Any, way: Way) -> None:
    aws = FakeAws()
    applied(asked(1, way=way), aws)
    edit(aws)
    before = copy.deepcopy((aws.roles, aws.policies))

    with pytest.raises(Permanent, match="changed by somebody"):
        planned(asked(1, 2, way=way), aws)
    made = undone(asked(1, way=way), aws)

    assert "role keyless-billing stays" in render_text(made)
    assert (aws.roles, aws.policies) == before


def test_a_deny_for_nobody_that_a_person_changed_stays() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    applied(asked(), aws)
    trust_of(aws)[0]["Effect"] = "Allow"

    with pytest.raises(Permanent, match="KeylessNobody"):
        planned(asked(1), aws)


def test_what_we_wrote_for_another_bucket_is_ours_and_replaced() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    moved = replace(asked(1).wishes[0], statements=({**DATA, "Resource": ["arn:aws:s3:::other/*"]},))
    applied(replace(asked(1), wishes=(moved,)), aws)

    (written,) = aws.policies["keyless-billing"]["keyless-billing"]["Statement"]
    assert written["Resource"] == ["arn:aws:s3:::other/*"]


def test_destroy_needs_to_know_no_permission_and_keeps_what_others_wrote_in_our_policy() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    theirs = {"Sid": "KeylessData", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    aws.policies["keyless-billing"]["keyless-billing"]["Statement"].append(theirs)
    bare = replace(asked(), wishes=(replace(asked().wishes[0], statements=()),))
    undone(bare, aws)
    assert theirs in aws.policies["keyless-billing"]["keyless-billing"]["Statement"]

    aws.policies["keyless-billing"]["keyless-billing"]["Statement"].remove(theirs)
    undone(bare, aws)
    assert aws.roles == {}


def test_an_edit_between_the_plan_to_destroy_and_its_steps_is_not_deleted() -> None:
    aws = FakeAws()
    applied(asked(1), aws)
    made = undo(asked(1), asyncio.run(gather(asked(1), aws)))
    trust_of(aws).append(FOREIGN)

    outcome, _ = carried_out(made, aws)

    assert "plan again" in outcome.stopped
    assert FOREIGN in trust_of(aws)


def told(text: str) -> int:
    """How many subjects the lines of a plan tell of: a role's own, each of several, or several together."""
    lines = re.findall(r"^roles? .*?(?: \(([0-9]+)\))?: .*?(each )?admits? ([0-9]+) subject", text, re.MULTILINE)
    return sum(int(number) * (int(roles) if each else 1) for roles, each, number in lines)


@given(before=st.integers(0, 150), after=st.integers(1, 150), seed=st.integers(0, 1000))
@effort(25)
def test_however_many_come_and_go_the_plan_tells_of_each_subject_once(before: int, after: int, seed: int) -> None:
    aws = FakeAws()
    if before:
        applied(asked(*range(before)), aws)
    made = planned(asked(*range(seed % 40, seed % 40 + after)), aws)
    assert told(render_text(made)) == len(made.places)


def test_roles_that_stay_as_they_are_are_told_together() -> None:
    aws = FakeAws()
    applied(asked(*range(100)), aws)
    text = render_text(planned(asked(*range(103)), aws))
    (line,) = (line for line in text.splitlines() if "as they are" in line)
    assert line == "roles keyless-billing … keyless-billing-5 (5): as they are; admit 100 subjects together"
    assert told(text) == 103


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_a_plan_is_read_at_a_glance_however_many_control_planes_there_are(count: int) -> None:
    made = planned(asked(*range(count)), FakeAws())
    text = render_text(made)

    assert len(text.splitlines()) <= 9
    assert text.count("s3:PutObject on arn:aws:s3:::usage/*") == 1
    assert told(text) == count
    assert len(render_text(made, long=True)) > len(text)


def test_associations_are_counted_not_listed() -> None:
    text = render_text(planned(asked(*range(100), way=Way.PODS), FakeAws()))

    assert "associations of service account vector: create 100" in text
    assert len(text.splitlines()) < 8


def test_a_changed_trust_says_how_many_come_and_go() -> None:
    aws = FakeAws()
    applied(asked(1, 2, 3), aws)

    assert "role keyless-billing: change trust (1 more, 2 fewer); admits 2 subjects" in render_text(
        planned(asked(3, 4), aws)
    )


@pytest.mark.parametrize("tells_all", [True, False])
def test_many_roles_are_read_at_once_where_that_is_allowed_and_the_plan_is_the_same(tells_all: bool) -> None:
    aws = FakeAws()
    applied(asked(*range(1000)), aws)
    aws.tells_all, aws.reads = tells_all, 0
    assert planned(asked(*range(1000)), aws).steps == ()

    assert aws.reads <= (5 if tells_all else 210)
    one_more = planned(asked(*range(1001)), aws)
    assert [step.operation for step in one_more.steps] == ["CreateRole", "PutRolePolicy"]


def test_associations_that_were_read_a_moment_ago_are_not_read_again() -> None:
    aws, wanted = FakeAws(), asked(*range(50), way=Way.PODS)
    applied(wanted, aws)
    have = asyncio.run(gather(wanted, aws))
    aws.reads = 0
    known = {one.association_id: one for one in have.associations}
    more = asked(*range(51), way=Way.PODS)
    made = plan(more, asyncio.run(gather(more, aws, known=known)))

    assert aws.reads < 8
    assert [step.operation for step in made.steps] == ["CreatePodIdentityAssociation"]


@pytest.mark.parametrize("way", Way)
def test_a_destroy_that_stops_after_any_step_goes_on_and_can_be_taken_back(way: Way) -> None:
    wanted, made = asked(*range(30), way=way), FakeAws()
    applied(wanted, made)
    whole = state(made)
    steps = undo(wanted, asyncio.run(gather(wanted, made))).steps
    assert len(steps) > 2
    for stop in range(len(steps) + 1):
        aws, back = FakeAws(), FakeAws()
        for one in (aws, back):
            one.roles, one.policies, one.providers, one.associations = copy.deepcopy(whole)
            planned_now = undo(wanted, asyncio.run(gather(wanted, one)))
            carried_out(replace(planned_now, steps=planned_now.steps[:stop]), one)
        rest = undo(wanted, asyncio.run(gather(wanted, aws)))
        assert carried_out(rest, aws)[0] == Outcome(len(rest.steps)), stop
        assert not aws.roles, stop
        assert not aws.associations, stop
        applied(wanted, back)
        # Which role a subject is placed in may be another one now; that each is admitted once may not.
        shown = json.dumps(back.roles if way is Way.IRSA else [one["namespace"] for one in back.associations.values()])
        assert [shown.count(host_namespace(number)) for number in range(30)] == [1] * 30, stop


def test_a_second_cluster_on_one_host_does_not_share_a_provider_unnoticed() -> None:
    """IAM leaves the port out of the ARN: what looks like ours is another cluster's."""
    aws = FakeAws()
    first, second = (
        replace(asked(1), cluster=replace(CLUSTER, issuer=f"https://127.0.0.1:{port}/clusters/keyless"))
        for port in (6443, 7443)
    )
    arn = first.cluster.provider_arn
    assert arn == second.cluster.provider_arn
    aws.providers[arn], aws.urls[arn] = ["sts.amazonaws.com"], "127.0.0.1:6443/clusters/keyless"
    assert planned(first, aws).steps
    with pytest.raises(
        Permanent, match=r"is the provider of https://127\.0\.0\.1:6443/.*issuer is https://127\.0\.0\.1:7443/"
    ):
        planned(second, aws)
    assert aws.roles == {}


@pytest.mark.parametrize(
    ("resource", "elsewhere"),
    [
        ("arn:aws:kms:eu-west-1:999988887777:key/one", "999988887777"),
        (["arn:aws:s3:::usage/*", "arn:aws:kms:eu-west-1:999988887777:key/one"], "999988887777"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/one", ""),
        ("arn:aws:s3:::usage", ""),
        ("*", ""),
    ],
)
def test_what_lies_in_another_account_is_warned_of(resource: object, elsewhere: str) -> None:
    key = {"Sid": "KeylessKey", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": resource}
    wish = Wish("billing", "vector", "keyless-billing", (DATA, key), (host_namespace(1),))
    made = planned(Asked(CLUSTER, Way.IRSA, Mode.EXACT, (wish,)), FakeAws())
    told = [one for one in made.warnings if "its own policy has to let role keyless-billing in" in one]
    assert len(told) == bool(elsewhere)
    assert all(elsewhere in one and ACCOUNT in one for one in told)
