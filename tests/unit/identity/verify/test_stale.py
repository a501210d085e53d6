"""Ids of what was deleted, in trust, bucket and key policies: told, renewed where they may have been this role's, and
in nothing that is printed to be written: AWS takes no policy back that names one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Reason
from keyless.identity.verify import Facts, State
from keyless.identity.verify.behind import KeyUse, Reached
from keyless.identity.verify.deciding import principal_of
from keyless.identity.verify.model import Bucket, Link, Role
from keyless.identity.verify.stale import living, renewal, stale_principals
from keyless.policy import Named, Policies, Request, evaluate, parse
from unit.identity.verify.chains import (
    ACCOUNT,
    ROLE,
    irsa,
    named,
    permissions,
    pod_identity,
    service,
    trust,
    web,
    with_trust,
    written,
)
from unit.local.cloud.support import World, refusal

OLD, OTHER, USER = "AROAEXAMPLEEXAMPLE123", "AROAOTHEROTHEROTHER12", "AIDAEXAMPLEEXAMPLE123"
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234"
DATA = "arn:aws:s3:::usage/*"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def to(principal: Any, action: Any, resource: str = "", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    whom = {"Principal": principal if principal == "*" else {"AWS": principal}} if principal else {}
    about = {"Resource": resource} if resource else {}
    return {"Effect": effect, **whom, "Action": action, **about, **more}


def bucket(*statements: Mapping[str, Any]) -> Facts:
    """A role that may do nothing by itself, and a bucket with this policy."""
    document = written(*statements)
    facts = irsa()
    assert isinstance(facts.role, Role)
    found = Bucket("usage", "us-west-2", Named("policy of bucket usage", parse(document, "resource")), document)
    return replace(facts, bucket=found, role=replace(facts.role, identity=()))


def key(*statements: Mapping[str, Any]) -> Facts:
    """The bucket's objects are encrypted by a key with this policy."""
    document = written(*statements)
    use = KeyUse(
        "kms:GenerateDataKey", KEY, {}, Named(f"key policy of {KEY}", parse(document, "resource")), written=document
    )
    facts = irsa()
    reached = {"arn:aws:s3:::usage/account=a/*": Reached("arn:aws:s3:::usage/account=a/x", None, {"k": use})}
    return replace(facts, reached=reached)


def document(link: Link) -> dict[str, Any]:
    """What the printed command writes."""
    words = shlex.split(link.fix)
    name = next(word for word in ("--policy", "--policy-document") if word in words)
    found: dict[str, Any] = json.loads(words[words.index(name) + 1])
    return found


PUTS, USES = to(OLD, ["s3:PutObject"], DATA), to(OLD, ["kms:GenerateDataKey", "kms:Decrypt"], "*")
PEOPLE = to([OTHER, USER, ROOT], "sts:AssumeRole")
STALE = [
    (bucket, "permission", (PUTS,)),
    (bucket, "permission", (to([OLD, f"arn:aws:iam::{ACCOUNT}:role/other"], "s3:PutObject", DATA),)),
    (bucket, "permission", (PUTS, to(OLD, "s3:GetObject", DATA))),
    (key, "key", (USES,)),
    (key, "key", (to(ROOT, "kms:*", "*"), USES)),
]


@pytest.mark.parametrize(("facts_of", "name", "listed"), STALE)
def test_the_id_that_was_this_roles_is_told_and_is_its_arn_again(
    facts_of: Any, name: str, listed: tuple[dict[str, Any], ...]
) -> None:
    facts = facts_of(*listed)
    link = named(facts, name)
    assert (link.state, link.reason) == (State.BROKEN, Reason.PRINCIPAL_STALE)
    assert OLD in link.found
    assert link.diff
    after = document(link)
    assert json.loads(json.dumps(after).replace(ROLE, OLD)) == json.loads(
        json.dumps(written(*listed)).replace(ROLE, OLD)
    )
    assert named(facts_of(*after["Statement"]), name).state is State.HELD


@pytest.mark.parametrize(
    ("facts", "name", "reason"),
    [
        (bucket(to([OLD, OTHER], "s3:PutObject", DATA)), "permission", Reason.PERMISSION_MISSING),  # whose was which?
        (bucket(to(USER, "s3:PutObject", DATA)), "permission", Reason.PERMISSION_MISSING),  # a user's
        (bucket(to(OLD, "s3:*", DATA)), "permission", Reason.PERMISSION_MISSING),  # an administrator's, perhaps
        (bucket(to(OLD, "s3:GetObject", DATA)), "permission", Reason.PERMISSION_MISSING),  # it would not help
        (bucket({**PUTS, "Effect": "Deny"}), "permission", Reason.PERMISSION_MISSING),
        (key(to([OLD, OTHER], "kms:GenerateDataKey", "*")), "key", Reason.PERMISSION_MISSING),
        (key(to(USER, "kms:GenerateDataKey", "*")), "key", Reason.PERMISSION_MISSING),
        (key(to(OLD, "kms:*", "*")), "key", Reason.PERMISSION_MISSING),
        (with_trust(irsa(), to(OTHER, "sts:AssumeRole", Sid="A"), web("other")), "trust", None),
        (with_trust(pod_identity(), PEOPLE, service("sts:AssumeRole")), "trust", None),
    ],
)  # fmt: skip
def test_where_it_may_have_been_anothers_what_lacks_is_added_and_the_ids_are_left_out(
    facts: Facts, name: str, reason: Reason | None
) -> None:
    link = named(facts, name)
    assert link.state is State.BROKEN
    assert reason in (link.reason, None)
    after = document(link)
    assert not stale_principals(after)
    if "put-role-policy" not in link.fix:
        assert "leaves out A" in link.advice
        assert ROOT in json.dumps(after) or ROOT not in json.dumps(
            facts.role.written if isinstance(facts.role, Role) else ""
        )


def test_everybody_but_nobody_is_no_text_that_a_command_would_write() -> None:
    alone = to("", "kms:*", "*", "Deny", NotPrincipal={"AWS": OLD})
    assert living(written(alone)) is None
    assert renewal(written({**alone, "NotAction": "kms:Sign"}), ROLE) is not None


ids = st.sampled_from((OLD, OTHER, USER))
arns = st.sampled_from((ROLE, ROOT, f"arn:aws:iam::{ACCOUNT}:role/other"))
principals = st.one_of(ids, arns, st.lists(st.one_of(ids, arns), min_size=1, max_size=4, unique=True))
whom = st.one_of(st.just("*"), principals.map(lambda found: {"AWS": found}), st.just({"Service": "s3.amazonaws.com"}))
actions = st.sampled_from(("s3:PutObject", ["s3:GetObject", "s3:PutObject"], "s3:*"))
plain = st.fixed_dictionaries(
    {"Effect": st.sampled_from(("Allow", "Deny")), "Principal": whom, "Action": actions, "Resource": st.just(DATA)}
)
sparing = principals.map(lambda found: to("", "s3:PutObject", DATA, "Deny", NotPrincipal={"AWS": found}))
documents = st.lists(st.one_of(plain, sparing), min_size=1, max_size=4).map(lambda listed: written(*listed))


def decided(content: Mapping[str, Any]) -> list[str]:
    """What a policy says to two roles, for two actions."""
    found = []
    for role in (ROLE, f"arn:aws:iam::{ACCOUNT}:role/other"):
        who = principal_of(Role(role, trust(web()), ()))
        for action in ("s3:PutObject", "s3:GetObject"):
            asked = Request(action, "arn:aws:s3:::usage/x", who, {}, resource_account=ACCOUNT)
            policies = Policies(resource=Named("p", parse(content, "resource")), identity=permissions())
            found.append(str(evaluate(asked, policies).outcome))
    return found


@effort(30)
@given(documents)
def test_a_policy_without_the_ids_says_the_same(content: dict[str, Any]) -> None:
    after = living(content)
    if after is None:
        return
    assert not stale_principals(after)
    if not stale_principals(content):
        assert after == content
    if after["Statement"]:
        assert decided(after) == decided(content)


@effort(30)
@given(documents)
def test_a_renewal_changes_the_one_id_and_nothing_else(content: dict[str, Any]) -> None:
    after = renewal(content, "arn:aws:iam::111122223333:role/new")
    if after is not None:
        assert set(stale_principals(content)) == {OLD} or set(stale_principals(content)) == {OTHER}
        assert not stale_principals(after)
        (unique_id,) = stale_principals(content)
        assert json.loads(json.dumps(after).replace("arn:aws:iam::111122223333:role/new", unique_id)) == content


@pytest.mark.parametrize(
    ("unique_id", "listed", "state"),
    [
        ("AROANEWNEWNEWNEWNEW12", ["AROANEWNEWNEWNEWNEW12:*"], State.HELD),
        ("AROANEWNEWNEWNEWNEW12", [f"{OLD}:*"], State.BROKEN),
        ("", ["AROANEWNEWNEWNEWNEW12:*"], State.UNKNOWN),  # the role's own id was not seen
    ],
)
def test_a_bucket_for_the_ids_of_certain_roles_is_judged_by_the_roles_own(
    unique_id: str, listed: list[str], state: State
) -> None:
    guard = to("*", "s3:*", DATA, "Deny", Condition={"StringNotLike": {"aws:userid": listed}})
    facts = bucket(guard)
    assert isinstance(facts.role, Role)
    facts = replace(facts, role=replace(facts.role, identity=permissions(), unique_id=unique_id))
    assert named(facts, "permission").state is state


@pytest.fixture
def cloud() -> Iterator[World]:
    """A local AWS in memory."""
    found = World()
    yield found
    found.close()


def made(iam: Any) -> str:
    """The role of the chain, again where it was deleted."""
    policy = json.dumps(written(to(ROOT, "sts:AssumeRole")))
    return str(iam.create_role(RoleName="billing", AssumeRolePolicyDocument=policy)["Role"]["Arn"])


@pytest.mark.parametrize("everything", [False, True])
def test_aws_takes_what_is_printed_where_it_refuses_what_keeps_an_id(cloud: World, everything: bool) -> None:
    iam, s3, kms = cloud.aws("iam"), cloud.aws("s3"), cloud.aws("kms")
    arn = made(iam)
    s3.create_bucket(Bucket="usage", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_policy(Bucket="usage", Policy=json.dumps(written(to(arn, "s3:PutObject", DATA))))
    admin = to(ROOT, ["kms:Put*", "kms:Get*", "kms:Describe*"], "*")
    kept = written(admin, to(arn, "kms:*" if everything else ["kms:Decrypt", "kms:GenerateDataKey"], "*"))
    key_id = kms.create_key(Policy=json.dumps(kept))["KeyMetadata"]["KeyId"]
    iam.delete_role(RoleName="billing")
    assert made(iam) == arn == ROLE
    of_bucket, of_key = s3.get_bucket_policy(Bucket="usage")["Policy"], kms.get_key_policy(KeyId=key_id)["Policy"]
    named_key = {"KeyId": key_id, "PolicyName": "default"}
    assert refusal(s3.put_bucket_policy, Bucket="usage", Policy=of_bucket)[0] == "MalformedPolicy"
    assert refusal(kms.put_key_policy, Policy=of_key, **named_key)[0] == "MalformedPolicyDocumentException"
    on_bucket = named(bucket(*json.loads(of_bucket)["Statement"]), "permission")
    on_key = named(key(*json.loads(of_key)["Statement"]), "key")
    assert on_key.reason is (Reason.PERMISSION_MISSING if everything else Reason.PRINCIPAL_STALE)
    s3.put_bucket_policy(Bucket="usage", Policy=json.dumps(document(on_bucket)))
    kms.put_key_policy(Policy=json.dumps(document(on_key)), **named_key)
    assert not stale_principals(json.loads(kms.get_key_policy(KeyId=key_id)["Policy"]))
    assert json.loads(s3.get_bucket_policy(Bucket="usage")["Policy"])["Statement"][0]["Principal"] == {"AWS": ROLE}
