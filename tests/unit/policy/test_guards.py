"""Who is bound by which policies: organisations, VPC endpoints, services, federated users, root (facts/identity.md)."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.policy import Layer, Named, Outcome, Policies, Principal, Request, Unreadable, evaluate, explain
from unit.policy.asking import (
    ACCOUNT,
    ANYONE,
    BUCKET,
    OBJECT,
    OTHER,
    PROVIDER,
    ROLE,
    ROOT,
    SESSION,
    TOKEN,
    USER,
    ask,
    named,
    statement,
)

IDENTITY = named(statement(action="*"))
DENY = named(statement("Deny", action="*"), kind="scp")
FULL_RCP = named(statement(action="*", Principal="*"), kind="rcp")
DENY_RCP = named(statement("Deny", action="*", Principal="*"), kind="rcp")
LINKED = Principal(
    "AssumedRole",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForEKS/x",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForEKS",
)
LOGGING = Principal("Service", service="logging.s3.amazonaws.com")
FEDERATED = Principal(
    "FederatedUser",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:federated-user/guest",
    role_arn=USER.arn,
    unique_id=f"{ACCOUNT}:guest",
)


def bucket(principal: Any, effect: str = "Allow", **more: Any) -> Named:
    return named(statement(effect, resource=[BUCKET, f"{BUCKET}/*"], Principal=principal, **more), kind="resource")


def trust(principal: Any, action: Any = "sts:AssumeRoleWithWebIdentity") -> Named:
    return named({"Effect": "Allow", "Principal": principal, "Action": action}, kind="trust")


def test_organisations_do_not_bind_service_linked_roles_not_even_by_a_deny() -> None:
    """Neither service nor resource control policies touch them."""
    for policies in (
        Policies(identity=(IDENTITY,), scps=((DENY,),)),
        Policies(identity=(IDENTITY,), rcps=((FULL_RCP, DENY_RCP),)),
    ):
        assert ask(policies, principal=LINKED).allowed
        assert ask(policies).outcome is Outcome.EXPLICIT_DENY
    boundary = Policies(identity=(IDENTITY,), boundary=named(statement("Deny"), kind="boundary"))
    assert not ask(boundary, principal=LINKED).allowed


@pytest.mark.parametrize("caller", [LOGGING, ANYONE])
def test_service_control_policies_bind_only_callers_that_belong_to_an_account(caller: Principal) -> None:
    policies = Policies(resource=bucket("*"), scps=((DENY,),))
    assert ask(policies, principal=caller).allowed
    assert DENY.name not in {trace.document for trace in ask(policies, principal=caller).trace}
    for own in (SESSION, USER, ROOT, FEDERATED):
        assert ask(policies, principal=own).layer is Layer.SCP


@pytest.mark.parametrize("caller", [LOGGING, ANYONE, OTHER, SESSION, ROOT])
def test_resource_control_policies_bind_everybody(caller: Principal) -> None:
    def of(*rcps: Named) -> Outcome:
        policies = Policies(identity=(IDENTITY,), resource=bucket("*"), rcps=(rcps,))
        return evaluate(Request("s3:PutObject", OBJECT, caller, resource_account=ACCOUNT), policies).outcome

    assert of(FULL_RCP) is Outcome.ALLOWED
    assert of(FULL_RCP, DENY_RCP) is Outcome.EXPLICIT_DENY


def test_the_full_access_resource_control_policy_lets_tokens_in() -> None:
    """Rule 5: a trust policy and the resource control policies decide; its star is everybody, tokens included."""
    request = Request("sts:AssumeRoleWithWebIdentity", ROLE, TOKEN)
    role = trust({"Federated": PROVIDER})
    assert evaluate(request, Policies(resource=role, rcps=((FULL_RCP,),))).allowed
    only_s3 = named(statement(Principal="*"), kind="rcp")
    assert evaluate(request, Policies(resource=role, rcps=((FULL_RCP,), (only_s3,)))).layer is Layer.RCP
    assert evaluate(request, Policies(resource=role, scps=((DENY,),))).allowed


def test_a_level_without_a_policy_allows_nothing() -> None:
    assert ask(Policies(identity=(IDENTITY,), scps=((),))).layer is Layer.SCP


class TestEndpoint:
    """A VPC endpoint's policy is one more AND."""

    def test_it_must_allow(self) -> None:
        narrow = named(statement(action="s3:GetObject", Principal="*"), kind="endpoint")
        policies = Policies(identity=(IDENTITY,), endpoint=narrow)
        assert ask(policies, action="s3:GetObject").allowed
        decision = ask(policies)
        assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, Layer.ENDPOINT)

    def test_it_grants_nothing(self) -> None:
        full = named(statement(action="*", Principal="*"), kind="endpoint")
        assert ask(Policies(endpoint=full)).layer is Layer.IDENTITY
        assert ask(Policies(endpoint=full), principal=ANYONE).layer is Layer.RESOURCE

    def test_it_binds_service_linked_roles_too(self) -> None:
        deny = named(statement("Deny", Principal="*"), kind="endpoint")
        assert ask(Policies(identity=(IDENTITY,), endpoint=deny), principal=LINKED).layer is Layer.ENDPOINT

    def test_it_may_name_who_passes(self) -> None:
        for entry, passes in (({"AWS": ACCOUNT}, True), ({"AWS": ROLE}, True), ({"AWS": USER.arn}, False)):
            policies = Policies(identity=(IDENTITY,), endpoint=named(statement(Principal=entry), kind="endpoint"))
            assert ask(policies).allowed is passes


class TestServices:
    def test_a_star_in_a_resource_policy_is_for_services_too(self) -> None:
        """Topic and queue policies let S3's notifications in by a star and aws:SourceArn."""
        condition = {"ArnLike": {"aws:SourceArn": BUCKET}}
        for star in ("*", {"AWS": "*"}):
            policies = Policies(resource=bucket(star, Condition=condition))
            assert ask(policies, principal=LOGGING, context={"aws:SourceArn": BUCKET}).allowed
            assert not ask(policies, principal=LOGGING).allowed

    def test_a_star_in_a_trust_policy_is_not(self) -> None:
        policies = Policies(resource=trust({"AWS": "*"}, "sts:AssumeRole"))
        assert not evaluate(Request("sts:AssumeRole", ROLE, LOGGING), policies).allowed
        assert evaluate(Request("sts:AssumeRole", ROLE, SESSION), policies).allowed

    def test_what_a_service_is_called(self) -> None:
        keys = {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": LOGGING.service}
        assert ask(Policies(resource=bucket("*", Condition={"StringEquals": keys})), principal=LOGGING).allowed
        assert not ask(Policies(resource=bucket("*", Condition={"StringEquals": keys})), principal=USER).allowed


class TestFederatedUsers:
    """GetFederationToken: the user's policies, limited by the session's."""

    def test_both_sides_must_allow(self) -> None:
        session = (named(statement(action="s3:Put*"), kind="session"),)
        assert ask(Policies(identity=(IDENTITY,), session=session), principal=FEDERATED).allowed
        assert ask(Policies(session=session), principal=FEDERATED).layer is Layer.IDENTITY
        silent = (named(statement(action="ec2:*"), kind="session"),)
        assert ask(Policies(identity=(IDENTITY,), session=silent), principal=FEDERATED).layer is Layer.SESSION

    @pytest.mark.parametrize(
        ("entry", "alone", "limited"),
        [(FEDERATED.arn, True, True), (USER.arn, True, False), (ACCOUNT, False, False), (ROLE, False, False)],
    )
    def test_a_resource_policy_may_name_the_session_or_the_user(self, entry: str, alone: bool, limited: bool) -> None:
        silent = (named(statement(action="ec2:*"), kind="session"),)
        assert ask(Policies(resource=bucket({"AWS": entry})), principal=FEDERATED).allowed is alone
        policies = Policies(resource=bucket({"AWS": entry}), session=silent)
        assert ask(policies, principal=FEDERATED).allowed is limited

    def test_the_keys_that_follow(self) -> None:
        keys = {
            "aws:PrincipalType": "FederatedUser",
            "aws:PrincipalArn": FEDERATED.arn,
            "aws:userid": FEDERATED.unique_id,
        }
        absent = {"Null": {"aws:username": "true"}}
        assert ask([statement(Condition={"StringEquals": keys, **absent})], principal=FEDERATED).allowed


class TestRoot:
    @pytest.mark.parametrize("action", ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"])
    def test_cannot_be_locked_out_of_its_buckets(self, action: str) -> None:
        policies = Policies(resource=bucket("*", "Deny"))
        assert ask(policies, action=action, resource=BUCKET, principal=ROOT).allowed
        assert not ask(policies, action=action, resource=BUCKET, principal=USER).allowed
        across = Request(action, BUCKET, ROOT, resource_account=OTHER.account)
        assert evaluate(across, policies).outcome is Outcome.EXPLICIT_DENY
        guarded = Policies(resource=bucket("*", "Deny"), scps=((DENY,),))
        assert ask(guarded, action=action, resource=BUCKET, principal=ROOT).layer is Layer.SCP

    def test_needs_no_identity_policy_across_accounts_but_the_other_side(self) -> None:
        def outcome(resource: Named) -> Outcome:
            request = Request("s3:PutObject", OBJECT, ROOT, resource_account=OTHER.account)
            return evaluate(request, Policies(resource=resource)).outcome

        assert outcome(bucket({"AWS": ACCOUNT})) is Outcome.ALLOWED
        assert outcome(bucket({"AWS": OTHER.account})) is Outcome.IMPLICIT_DENY


def test_a_role_told_as_its_own_session_is_still_the_role() -> None:
    """Who asks on a role's behalf before there is a session (a simulator) gets what the role's sessions get."""
    role = Principal("AssumedRole", ACCOUNT, ROLE, role_arn=ROLE)
    silent = named(statement(action="ec2:*"), kind="boundary")
    assert ask(Policies(resource=bucket({"AWS": ROLE})), principal=role).allowed
    assert not ask(Policies(resource=bucket({"AWS": ROLE}), boundary=silent), principal=role).allowed


def test_a_canonical_user_is_an_account() -> None:
    canonical = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
    policies = Policies(resource=bucket({"CanonicalUser": canonical}))
    root = Principal("Root", ACCOUNT, ROOT.arn, canonical_id=canonical)
    user = Principal("User", ACCOUNT, USER.arn, canonical_id=canonical)
    request = Request("s3:PutObject", OBJECT, user, resource_account=OTHER.account)
    assert ask(policies, principal=root).allowed
    assert evaluate(request, policies).layer is Layer.IDENTITY
    assert evaluate(request, Policies(identity=(IDENTITY,), resource=policies.resource)).allowed
    assert not ask(policies, principal=USER).allowed


def test_not_principal_of_everybody_denies_nobody() -> None:
    spared = named(statement("Deny", NotPrincipal="*"), kind="resource")
    for caller in (SESSION, TOKEN, LOGGING):
        decision = ask(Policies(identity=(IDENTITY,), resource=spared), principal=caller)
        assert decision.outcome is not Outcome.EXPLICIT_DENY


@pytest.mark.parametrize(
    ("resource", "told", "found"),
    [
        ("arn:aws:ssm:us-west-2:444455556666:parameter/x", "", "444455556666"),
        (OBJECT, "444455556666", "444455556666"),
        (OBJECT, "", None),
        ("*", "", None),
    ],
)
def test_the_resource_tells_its_account(resource: str, told: str, found: str | None) -> None:
    condition = {"StringEquals": {"aws:ResourceAccount": "444455556666"}}
    request = Request("ssm:GetParameter", resource, SESSION, resource_account=told)
    (trace,) = evaluate(request, Policies(identity=(named(statement(Condition=condition)),))).trace
    assert trace.conditions[0].actual == found


def test_what_was_not_read_of_an_organisation_is_told() -> None:
    locked = Unreadable("p-1", "lacks organizations:DescribePolicy")
    decision = ask(Policies(identity=(IDENTITY,), scps=((locked,),)))
    assert (decision.outcome, decision.unread) == (Outcome.UNKNOWN, ("p-1: lacks organizations:DescribePolicy",))
    assert explain(decision)[-1] == "  not read: p-1: lacks organizations:DescribePolicy"
    assert ask(Policies(resource=bucket("*"), scps=((locked,),)), principal=ANYONE).allowed
