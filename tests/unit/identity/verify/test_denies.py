"""A Deny is named wherever it stands, and what could not be read is never taken for a policy that denies nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyless.api import Reason
from keyless.identity.verify import Facts, State
from keyless.identity.verify.behind import KeyUse, Reached
from keyless.identity.verify.model import ANOTHER, Bucket, Role, Unread
from keyless.kube.memory import MemoryKube
from keyless.policy import Kind, Named, Unreadable, parse
from unit.identity.verify import test_gather as live
from unit.identity.verify.chains import ACCOUNT, ROLE, irsa, named, permissions, pod_identity, service, written

kube = live.kube
CMK = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234"
OBJECTS = "arn:aws:s3:::usage/account=a/*"
PUT: dict[str, Any] = {"Sid": "Guard", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::usage/*"}


def document(kind: Kind, *statements: dict[str, Any]) -> Any:
    whom = {"Principal": "*"} if kind == "resource" else {}
    return parse({"Version": "2012-10-17", "Statement": [{**each, **whom} for each in statements]}, kind)


ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def by_identity(facts: Facts, deny: dict[str, Any]) -> Facts:
    return with_role(facts, identity=(*permissions(), Named("inline policy guard", document("identity", deny))))


def by_boundary(facts: Facts, deny: dict[str, Any]) -> Facts:
    return with_role(facts, boundary=Named("arn:aws:iam::aws:policy/B", document("boundary", ALLOW_ALL, deny)))


def by_bucket(facts: Facts, deny: dict[str, Any]) -> Facts:
    return replace(facts, bucket=Bucket("usage", "us-west-2", Named("policy of bucket", document("resource", deny))))


def by_session(facts: Facts, deny: dict[str, Any]) -> Facts:
    association = pod_identity().association
    assert association is not None
    bound = Named("session policy of association a-1", document("session", ALLOW_ALL, deny))
    mine = replace(association, policy=bound, tags=False)
    return replace(pod_identity(), associations=(mine,), access=facts.access)


def with_role(facts: Facts, **changes: Any) -> Facts:
    assert isinstance(facts.role, Role)
    return replace(facts, role=replace(facts.role, **changes))


WHERE: list[Callable[[Facts, dict[str, Any]], Facts]] = [by_identity, by_boundary, by_bucket, by_session]
WHOLE: list[dict[str, Any]] = [
    PUT,
    {**PUT, "Action": "s3:*"},
    {**PUT, "Action": "*", "Resource": "*"},
    {**PUT, "Action": "s3:Put?bject"},
    {"Sid": "Guard", "Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "*"},
    {"Sid": "Guard", "Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"},
    {**PUT, "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    {**PUT, "Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}},
]
PART: list[dict[str, Any]] = [
    {**PUT, "Resource": "arn:aws:s3:::usage/account=a/date=2020-*"},
    {**PUT, "Resource": "arn:aws:s3:::*/hour=00/*"},
    {**PUT, "Resource": "arn:aws:s3:::usage/account=${aws:PrincipalTag/x, 'a'}/old/*"},
    {**PUT, "Resource": ["arn:aws:s3:::other/*", "arn:aws:s3:::usage/*.tmp"]},
]
NONE: list[dict[str, Any]] = [
    {**PUT, "Action": "s3:DeleteObject"},
    {**PUT, "Resource": "arn:aws:s3:::usage/account=b/*"},
    {**PUT, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    {**PUT, "Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}},
    {**PUT, "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "blue"}}},
]
HANGS: list[dict[str, Any]] = [
    {**PUT, "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}},
    {**PUT, "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    {**PUT, "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}},
    {**PUT, "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}}},
]


def chain() -> Facts:
    facts = replace(irsa(), now=1_790_000_000.0)
    return with_role(facts, tags={"team": "blue"})


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("deny", WHOLE)
def test_a_deny_of_what_is_needed_breaks_the_link_and_is_named(where: Any, deny: dict[str, Any]) -> None:
    link = named(where(chain(), deny), "permission")
    assert (link.state, link.reason, link.fix) == (State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY, "")
    assert "(Guard)" in link.found
    assert "(Guard)" in link.advice


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("deny", PART)
def test_a_deny_of_a_part_is_named_and_leaves_it_to_the_probe(where: Any, deny: dict[str, Any]) -> None:
    link = named(where(chain(), deny), "permission")
    assert (link.state, link.fix) == (State.UNKNOWN, "")
    assert "(Guard)" in link.found


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("deny", NONE)
def test_a_deny_of_something_else_changes_nothing(where: Any, deny: dict[str, Any]) -> None:
    facts = where(chain(), deny)
    assert named(with_role(facts, tags={"team": "blue"}), "permission").state is State.HELD


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("deny", HANGS)
def test_a_deny_that_hangs_on_the_call_is_neither_broken_nor_passed_over(where: Any, deny: dict[str, Any]) -> None:
    link = named(where(chain(), deny), "permission")
    assert link.state is State.UNKNOWN
    ((_, tests),) = deny["Condition"].items()
    (key,) = tests
    assert key in link.found
    assert f"--context '{key}=VALUE'" in link.advice.lower() or f"--context '{key}=VALUE'" in link.advice


@pytest.mark.parametrize(
    "unread",
    [
        lambda facts: replace(facts, bucket=Unread("not readable: the caller lacks s3:ListBucket")),
        lambda facts: replace(facts, bucket=Bucket("usage", "", Unreadable("policy of bucket usage", "no"))),
        lambda facts: replace(facts, bucket=Bucket("usage", "", Unreadable("policy", "no"), owner=ANOTHER)),
        lambda facts: with_role(facts, boundary=Unreadable("arn:b", "no")),
        lambda facts: with_role(facts, identity=(*permissions(), Unreadable("attached policies", "no"))),
    ],
)
def test_a_policy_that_could_not_be_read_may_deny(unread: Any) -> None:
    assert named(unread(chain()), "permission").state is State.UNKNOWN


@pytest.mark.parametrize(("in_list", "owner"), [(True, ""), (False, ANOTHER)])
async def test_a_bucket_that_refuses_everybody_is_seen_with_the_deny_that_does(
    kube: MemoryKube, in_list: bool, owner: str
) -> None:
    said = "User: x is not authorized to perform: s3:GetBucketPolicy with an explicit deny in a resource-based policy"

    class Refusing(live.FakeAws):
        async def call(self, service_name: str, operation: str, /, **params: Any) -> dict[str, Any]:
            if operation == "GetBucketPolicy":
                raise live.AwsPermanent(live.Said(operation, "AccessDenied", said))
            return await super().call(service_name, operation, **params)

    answers = live.healthy(HeadBucket="403", ListBuckets={"Buckets": [{"Name": "usage"}] if in_list else []}).answers
    facts = await live.one(kube, Refusing(answers))
    assert isinstance(facts.bucket, Bucket)
    assert facts.bucket.owner == owner
    link = named(facts, "permission")
    assert link.state is State.UNKNOWN
    told = "denied s3:GetBucketPolicy by an explicit Deny in a resource-based policy" if in_list else "another account"
    assert told in link.found


def key(*statements: dict[str, Any], **more: Any) -> Facts:
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    use = KeyUse(
        "kms:GenerateDataKey", CMK, {}, Named(f"key policy of {CMK}", parse(policy, "resource")), written=policy
    )
    reached = {OBJECTS: Reached("arn:aws:s3:::usage/account=a/x", keys={"s3:PutObject": replace(use, **more)})}
    return replace(irsa(), reached=reached)


ROOT = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
TO_ROLE = {**ROOT, "Principal": {"AWS": ROLE}}
DENY = {**TO_ROLE, "Sid": "Guard", "Effect": "Deny"}


@pytest.mark.parametrize(
    ("statements", "state", "reason", "fix"),
    [
        ((TO_ROLE,), State.HELD, None, ""),
        ((ROOT,), State.BROKEN, Reason.PERMISSION_MISSING, "aws iam put-role-policy --role-name billing"),
        (
            ({**ROOT, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/admin"}},),
            State.BROKEN,
            Reason.PERMISSION_MISSING,
            f"aws kms put-key-policy --key-id {CMK} --policy-name default",
        ),
        ((TO_ROLE, DENY), State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY, ""),
        (
            (TO_ROLE, {**DENY, "Condition": {"StringNotEquals": {"aws:SourceVpce": "v"}}}),
            State.UNKNOWN,
            None,
            "",
        ),
    ],
)
def test_the_key_behind_the_bucket_is_judged_by_both_policies(
    statements: tuple[dict[str, Any], ...], state: State, reason: Reason | None, fix: str
) -> None:
    link = named(key(*statements), "key")
    assert (link.state, link.reason) == (state, reason)
    assert link.fix.startswith(fix)
    assert bool(link.fix) is bool(fix)
    assert ("(Guard)" in link.advice) is (reason is Reason.PERMISSION_DENIED_EXPLICITLY)


@pytest.mark.parametrize(
    ("state", "fix"),
    [
        ("Disabled", f"aws kms enable-key --key-id {CMK}"),
        ("PendingDeletion", f"aws kms cancel-key-deletion --key-id {CMK} && aws kms enable-key --key-id {CMK}"),
        ("PendingImport", ""),
        ("Unavailable", ""),
    ],
)
def test_a_key_that_is_not_enabled_is_named_whoever_may_use_it(state: str, fix: str) -> None:
    link = named(key(TO_ROLE, state=state), "key")
    assert (link.state, link.reason, link.fix) == (State.BROKEN, Reason.KEY_NOT_ENABLED, fix)
    assert state in link.found
    assert fix or link.advice


def test_without_a_key_no_link_speaks_of_one() -> None:
    with pytest.raises(StopIteration):
        named(irsa(), "key")


def test_a_secret_that_is_scheduled_for_deletion_is_there_and_not_read() -> None:
    secret = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:db-AbCdEf"
    facts = replace(pod_identity(), reached={"x": Reached(secret, deleted="2026-12-24")})
    link = named(facts, "sources")
    assert (link.state, link.reason) == (State.BROKEN, Reason.SECRET_SCHEDULED_FOR_DELETION)
    assert link.fix == f"aws secretsmanager restore-secret --secret-id {secret} --region eu-west-1"
    assert "2026-12-24" in link.found


async def test_an_association_brings_its_session_policy(kube: MemoryKube) -> None:
    listed = {
        "associationId": "a-1",
        "namespace": live.NAMESPACE,
        "serviceAccount": "vector",
        "roleArn": ROLE,
        "disableSessionTags": True,
        "policy": json.dumps({"Version": "2012-10-17", "Statement": [ALLOW_ALL, PUT]}),
    }
    aws = live.healthy(
        ListPodIdentityAssociations={"associations": [listed]}, DescribePodIdentityAssociation={"association": listed}
    )
    aws.answers["GetRole"]["Role"]["AssumeRolePolicyDocument"] = written(service())
    link = named(await live.one(kube, aws), "permission")
    assert link.reason is Reason.PERMISSION_DENIED_EXPLICITLY
    assert "(Guard) of session policy of association a-1" in link.found
