"""Order and composition: facts/identity.md#order-and-composition, #actions-and-resources."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.policy import Layer, Named, Outcome, Policies, Principal, Request, Unreadable, evaluate
from unit.policy.asking import (
    ACCOUNT,
    ANYONE,
    BUCKET,
    OBJECT,
    OTHER,
    POD_IDENTITY,
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

ALLOW, DENY = statement(), statement("Deny")
IDENTITY = named(ALLOW)
LOCKED = Unreadable("managed policy X", "lacks iam:GetPolicyVersion")


def bucket_policy(principal: Any, effect: str = "Allow", *, element: str = "Principal", **more: Any) -> Named:
    return named(statement(effect, resource=[BUCKET, f"{BUCKET}/*"], **{element: principal}, **more), kind="resource")


def trust(principal: Any, action: Any = ("sts:AssumeRole", "sts:TagSession"), **more: Any) -> Named:
    return named({"Effect": "Allow", "Principal": principal, "Action": list(action), **more}, kind="trust")


def assume(principal: Principal, policies: Policies, action: str = "sts:AssumeRole") -> Outcome:
    return evaluate(Request(action, ROLE, principal), policies).outcome


def test_nothing_is_allowed_by_default() -> None:
    decision = ask(Policies())
    assert (decision.outcome, decision.layer, decision.decided_by) == (Outcome.IMPLICIT_DENY, Layer.IDENTITY, None)
    assert decision.decided_label is None
    assert not decision.allowed


def test_a_deny_anywhere_wins() -> None:
    places = {
        Layer.IDENTITY: Policies(identity=(named(ALLOW, DENY),)),
        Layer.BOUNDARY: Policies(identity=(IDENTITY,), boundary=named(ALLOW, DENY, kind="boundary")),
        Layer.SESSION: Policies(identity=(IDENTITY,), session=(named(ALLOW, DENY, kind="session"),)),
        Layer.SCP: Policies(identity=(IDENTITY,), scps=((named(ALLOW, kind="scp"), named(DENY, kind="scp")),)),
        Layer.RCP: Policies(
            identity=(IDENTITY,), rcps=((named({**ALLOW, "Principal": "*"}, {**DENY, "Principal": "*"}, kind="rcp"),),)
        ),
        Layer.RESOURCE: Policies(identity=(IDENTITY,), resource=bucket_policy("*", "Deny")),
    }
    for layer, policies in places.items():
        decision = ask(policies)
        assert (decision.outcome, decision.layer) == (Outcome.EXPLICIT_DENY, layer)
        assert decision.decided_by is not None
        assert decision.decided_by.effect == "Deny"
        assert decision.decided_label == decision.decided_by.label


def test_every_level_of_organisation_policies_must_allow() -> None:
    allow, other = named(ALLOW, kind="scp"), named(statement(action="ec2:*"), kind="scp")
    assert ask(Policies(identity=(IDENTITY,), scps=((allow,), (allow, other)))).allowed
    decision = ask(Policies(identity=(IDENTITY,), scps=((allow,), (other,))))
    assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, Layer.SCP)
    narrow = named({**statement(action="ec2:*"), "Principal": "*"}, kind="rcp")
    assert ask(Policies(identity=(IDENTITY,), rcps=((narrow,),))).layer is Layer.RCP


def test_service_linked_roles_are_beyond_organisation_policies() -> None:
    linked = Principal(
        "AssumedRole",
        ACCOUNT,
        "arn:x",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks/AWSServiceRoleForEKS",
    )
    assert ask(
        Policies(identity=(IDENTITY,), scps=((named(statement(action="ec2:*"), kind="scp"),),)), principal=linked
    ).allowed


def test_boundary_and_session_policies_only_shrink() -> None:
    narrow = statement(action="s3:GetObject")
    for layer, policies in (
        (Layer.BOUNDARY, Policies(identity=(IDENTITY,), boundary=named(narrow, kind="boundary"))),
        (Layer.SESSION, Policies(identity=(IDENTITY,), session=(named(narrow, kind="session"),))),
    ):
        assert ask(policies, action="s3:GetObject").allowed
        decision = ask(policies)
        assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, layer)
    alone = Policies(boundary=named(ALLOW, kind="boundary"), session=(named(ALLOW, kind="session"),))
    assert ask(alone).layer is Layer.IDENTITY


def test_session_policies_are_a_union() -> None:
    parts = (
        named(statement(action="s3:GetObject"), kind="session"),
        named(statement(action="s3:Put*"), kind="session"),
    )
    assert ask(Policies(identity=(IDENTITY,), session=parts)).allowed


@pytest.mark.parametrize(
    ("entry", "alone", "limited"),
    [
        ({"AWS": SESSION.arn}, True, True),
        ({"AWS": ROLE}, True, False),
        ({"AWS": SESSION.unique_id.partition(":")[0]}, True, False),
        ("*", True, False),
        ({"AWS": "*"}, True, False),
        ({"AWS": ACCOUNT}, False, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False, False),
        ({"AWS": USER.arn}, False, False),
        ({"Service": "s3.amazonaws.com"}, False, False),
    ],
)
def test_in_one_account_a_resource_policy_may_be_enough(entry: Any, alone: bool, limited: bool) -> None:
    """``alone``: without an identity policy. ``limited``: also against the silence of boundary and session policies."""
    resource = bucket_policy(entry)
    assert ask(Policies(resource=resource)).allowed is alone
    silent = named(statement(action="ec2:*"), kind="session")
    assert ask(Policies(resource=resource, session=(silent,))).allowed is limited
    assert ask(Policies(resource=resource, boundary=silent)).allowed is limited
    assert ask(Policies(resource=resource, identity=(IDENTITY,))).allowed


def test_a_named_user_is_granted_directly() -> None:
    for entry in (USER.arn, USER.unique_id):
        policies = Policies(
            resource=bucket_policy({"AWS": entry}), boundary=named(statement(action="ec2:*"), kind="boundary")
        )
        assert ask(policies, principal=USER).allowed
    assert not ask(Policies(resource=bucket_policy({"AWS": ROLE})), principal=USER).allowed


def test_across_accounts_both_sides_must_allow() -> None:
    resource = bucket_policy({"AWS": OTHER.account})

    def outcome(policies: Policies) -> tuple[Outcome, Layer | None]:
        decision = evaluate(Request("s3:PutObject", OBJECT, OTHER, resource_account=ACCOUNT), policies)
        return decision.outcome, decision.layer

    assert outcome(Policies(resource=resource, identity=(IDENTITY,))) == (Outcome.ALLOWED, Layer.IDENTITY)
    assert outcome(Policies(resource=resource)) == (Outcome.IMPLICIT_DENY, Layer.IDENTITY)
    assert outcome(Policies(identity=(IDENTITY,))) == (Outcome.IMPLICIT_DENY, Layer.RESOURCE)
    session = bucket_policy({"AWS": OTHER.arn})
    assert outcome(Policies(resource=session)) == (Outcome.IMPLICIT_DENY, Layer.IDENTITY)
    silent = named(statement(action="ec2:*"), kind="session")
    assert outcome(Policies(resource=resource, identity=(IDENTITY,), session=(silent,)))[1] is Layer.SESSION


def test_the_account_in_an_arn_tells_whose_resource_it_is() -> None:
    secret = "arn:aws:secretsmanager:us-west-2:444455556666:secret:x"
    assert ask([statement(action="*")], action="secretsmanager:GetSecretValue", resource=secret).layer is Layer.RESOURCE
    own = secret.replace("444455556666", ACCOUNT)
    assert ask([statement(action="*")], action="secretsmanager:GetSecretValue", resource=own).allowed
    assert ask([statement(action="*")], resource="arn:aws:s3").allowed


def test_root_needs_no_policy_but_obeys_guards_and_denies() -> None:
    assert ask(Policies(), principal=ROOT).allowed
    assert ask(Policies(), principal=ROOT).decided_by is None
    assert ask(Policies(scps=((named(statement(action="ec2:*"), kind="scp"),),)), principal=ROOT).layer is Layer.SCP
    assert ask(Policies(resource=bucket_policy("*", "Deny")), principal=ROOT).outcome is Outcome.EXPLICIT_DENY
    assert ask(Policies(resource=bucket_policy({"AWS": ACCOUNT})), principal=ROOT).allowed


def test_anonymous_callers_need_a_star() -> None:
    assert ask(Policies(resource=bucket_policy("*")), principal=ANYONE).allowed
    assert ask(Policies(resource=bucket_policy({"AWS": ACCOUNT})), principal=ANYONE).layer is Layer.RESOURCE
    assert not ask(Policies(), principal=ANYONE).allowed


def test_who_one_is_needs_no_permission_and_cannot_be_denied() -> None:
    assert ask([statement("Deny", action="*")], action="sts:GetCallerIdentity", resource="*").allowed


class TestTrust:
    def test_pod_identity_needs_the_service_and_both_actions(self) -> None:
        both = Policies(resource=trust({"Service": "pods.eks.amazonaws.com"}))
        assert assume(POD_IDENTITY, both) is Outcome.ALLOWED
        assert assume(POD_IDENTITY, both, "sts:TagSession") is Outcome.ALLOWED
        untagged = Policies(resource=trust({"Service": "pods.eks.amazonaws.com"}, ("sts:AssumeRole",)))
        assert assume(POD_IDENTITY, untagged, "sts:TagSession") is Outcome.IMPLICIT_DENY
        assert assume(POD_IDENTITY, Policies(resource=trust({"Service": "ec2.amazonaws.com"}))) is Outcome.IMPLICIT_DENY
        assert assume(POD_IDENTITY, Policies(resource=trust({"AWS": "*"}))) is Outcome.IMPLICIT_DENY

    def test_a_token_needs_its_provider_and_no_identity_policy(self) -> None:
        action = "sts:AssumeRoleWithWebIdentity"
        policies = Policies(resource=trust({"Federated": PROVIDER}, (action,)))
        decision = evaluate(Request(action, ROLE, TOKEN), policies)
        assert (decision.outcome, decision.layer) == (Outcome.ALLOWED, Layer.TRUST)
        assert assume(TOKEN, Policies(), action) is Outcome.IMPLICIT_DENY

    def test_a_trusted_role_needs_no_identity_policy_but_an_account_does(self) -> None:
        may = named(statement(action="sts:AssumeRole"))
        assert assume(SESSION, Policies(resource=trust({"AWS": ROLE}))) is Outcome.ALLOWED
        account = trust({"AWS": ACCOUNT})
        assert assume(SESSION, Policies(resource=account)) is Outcome.IMPLICIT_DENY
        assert assume(SESSION, Policies(resource=account, identity=(may,))) is Outcome.ALLOWED

    def test_an_identity_policy_alone_never_assumes_a_role(self) -> None:
        may = named(statement(action="sts:AssumeRole"))
        decision = evaluate(
            Request("sts:AssumeRole", ROLE, SESSION),
            Policies(identity=(may,), resource=trust({"AWS": "*"}, ("sts:TagSession",))),
        )
        assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, Layer.TRUST)

    def test_another_account_needs_both(self) -> None:
        may = named(statement(action="sts:AssumeRole"))
        resource = trust({"AWS": OTHER.role_arn})
        assert assume(OTHER, Policies(resource=resource)) is Outcome.IMPLICIT_DENY
        assert assume(OTHER, Policies(resource=resource, identity=(may,))) is Outcome.ALLOWED

    def test_a_role_made_again_is_not_the_role_that_was_trusted(self) -> None:
        resource = trust({"AWS": "AROAOLDOLDOLDOLDOLD12"})
        assert assume(SESSION, Policies(resource=resource)) is Outcome.IMPLICIT_DENY


def test_a_key_policy_is_never_optional() -> None:
    key = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1"
    may = named(statement(action="kms:*"))
    delegating = named(statement(action="kms:*", Principal={"AWS": ACCOUNT}), kind="resource")
    silent = named(statement(action="kms:*", Principal={"AWS": USER.arn}), kind="resource")

    def decrypt(policies: Policies) -> bool:
        return ask(policies, action="kms:Decrypt", resource=key).allowed

    assert decrypt(Policies(identity=(may,), resource=delegating))
    assert not decrypt(Policies(identity=(may,), resource=silent))
    assert not decrypt(Policies(resource=delegating))


@pytest.mark.parametrize(
    ("principal", "spared_by", "not_spared_by"),
    [
        (SESSION, [ACCOUNT, ROLE, SESSION.arn], [ACCOUNT, ROLE]),
        (USER, [ACCOUNT, USER.arn], [USER.arn]),
        (ROOT, [ACCOUNT], [ROLE]),
    ],
)
def test_not_principal_spares_only_who_is_listed_whole(
    principal: Principal, spared_by: list[str], not_spared_by: list[str]
) -> None:
    def allowed(listed: list[str], **more: Any) -> bool:
        resource = bucket_policy({"AWS": listed}, "Deny", element="NotPrincipal")
        return ask(Policies(identity=(IDENTITY,), resource=resource, **more), principal=principal).allowed

    assert allowed(spared_by)
    assert not allowed(not_spared_by)
    assert not allowed(spared_by, boundary=named(ALLOW, kind="boundary"))


def test_not_principal_spares_listed_services_and_providers() -> None:
    listed = {"Service": POD_IDENTITY.service, "Federated": PROVIDER}
    for principal, listing in ((POD_IDENTITY, listed), (TOKEN, listed)):
        resource = bucket_policy(listing, "Deny", element="NotPrincipal")
        assert ask(Policies(resource=resource), principal=principal).outcome is Outcome.IMPLICIT_DENY
        other = bucket_policy({"AWS": ACCOUNT}, "Deny", element="NotPrincipal")
        assert ask(Policies(resource=other), principal=principal).outcome is Outcome.EXPLICIT_DENY


@pytest.mark.parametrize(
    ("element", "asked", "included"),
    [
        ("s3:PutObject", "S3:putobject", True),
        ("S3:PUT*", "s3:PutObject", True),
        ("s3:?utObject", "s3:PutObject", True),
        ("s3:PutObjectAcl", "s3:PutObject", False),
        ("*", "s3:PutObject", True),
        ("*:*", "s3:PutObject", True),
        ("*:Put*", "s3:PutObject", True),
        ("ec2:*", "s3:PutObject", False),
        (["ec2:*", "s3:Put*"], "s3:PutObject", True),
    ],
)
def test_actions_and_their_complement(element: Any, asked: str, included: bool) -> None:
    assert ask([statement(action=element)], action=asked).allowed is included
    complement = {"Effect": "Allow", "NotAction": element, "Resource": "*"}
    assert ask([complement], action=asked).allowed is not included


def test_resources_and_their_complement() -> None:
    for patterns, fits in ((BUCKET, False), (f"{BUCKET}/*", True), ([BUCKET, f"{BUCKET}/k?y"], True), ("*", True)):
        assert ask([statement(resource=patterns)]).allowed is fits
        assert ask([{"Effect": "Allow", "Action": "*", "NotResource": patterns}]).allowed is not fits


def test_an_action_without_a_resource_needs_a_star() -> None:
    assert ask([statement()], action="s3:ListAllMyBuckets", resource="*").allowed
    assert not ask([statement(resource="arn:aws:s3:::*")], action="s3:ListAllMyBuckets", resource="*").allowed


def test_variables_in_resources() -> None:
    home = statement(resource=f"{BUCKET}/${{aws:PrincipalTag/team}}/*")
    inside = f"{BUCKET}/red/file"
    assert ask([home], resource=inside, context={"aws:principaltag/TEAM": "red"}).allowed
    assert not ask([home], resource=inside, context={"aws:PrincipalTag/team": "r*"}).allowed
    assert not ask([home], resource=inside).allowed
    assert not ask([home], resource=inside, context={"aws:PrincipalTag/team": ("red",)}).allowed
    old = Policies(identity=(named(home, version="2008-10-17"),))
    assert not ask(old, resource=inside, context={"aws:PrincipalTag/team": "red"}).allowed
    anywhere = statement(resource="arn:aws:s3:::*/${aws:PrincipalTag/team}")
    assert ask([anywhere], resource="arn:aws:s3:::b/red", context={"aws:PrincipalTag/team": "red"}).allowed


@pytest.mark.parametrize(
    ("principal", "keys"),
    [
        (SESSION, {"aws:PrincipalArn": ROLE, "aws:PrincipalType": "AssumedRole", "aws:userid": SESSION.unique_id}),
        (USER, {"aws:username": "ann", "aws:PrincipalArn": USER.arn, "aws:PrincipalType": "User"}),
        (ROOT, {"aws:PrincipalArn": ROOT.arn, "aws:PrincipalType": "Account", "aws:userid": ACCOUNT}),
    ],
)
def test_keys_that_follow_from_the_caller(principal: Principal, keys: dict[str, str]) -> None:
    condition = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, **keys}}
    assert ask([statement(Condition=condition)], principal=principal).allowed
    # The root user is allowed either way, but then by no statement.
    overridden = ask([statement(Condition=condition)], principal=principal, context={"AWS:PRINCIPALARN": "x"})
    assert overridden.decided_by is None


class TestUnknown:
    def test_an_unread_document_turns_an_allow_into_unknown(self) -> None:
        decision = ask(Policies(identity=(IDENTITY, LOCKED)))
        assert (decision.outcome, decision.allowed) == (Outcome.UNKNOWN, False)
        assert decision.unread == ("managed policy X: lacks iam:GetPolicyVersion",)

    def test_an_unread_document_may_hold_the_missing_allow(self) -> None:
        assert ask(Policies(identity=(LOCKED,))).outcome is Outcome.UNKNOWN
        assert ask(Policies(resource=LOCKED)).outcome is Outcome.UNKNOWN

    def test_a_certain_no_stays_a_no(self) -> None:
        assert ask(Policies(identity=(LOCKED, named(DENY)))).outcome is Outcome.EXPLICIT_DENY
        silent = named(statement(action="ec2:*"), kind="boundary")
        decision = ask(Policies(identity=(LOCKED,), boundary=silent))
        assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)


def test_the_trace_shows_every_statement_and_condition() -> None:
    conditions = {"StringEquals": {"aws:PrincipalTag/team": ["red", "blue"]}, "Bool": {"aws:SecureTransport": "true"}}
    policies = Policies(
        identity=(named(statement(Sid="Writes", Condition=conditions), statement(action="ec2:*", resource=BUCKET)),),
        resource=bucket_policy({"AWS": USER.arn}),
    )
    decision = ask(policies, context={"aws:PrincipalTag/team": "green", "aws:SecureTransport": "true"})
    of_bucket, writes, ec2 = decision.trace
    assert (of_bucket.layer, of_bucket.principal, of_bucket.applies) == (Layer.RESOURCE, False, False)
    assert (writes.sid, writes.label) == ("Writes", "statement 0 (Writes) of the identity policy")
    assert [(c.operator, c.key, c.expected, c.actual, c.holds) for c in writes.conditions] == [
        ("StringEquals", "aws:PrincipalTag/team", ("red", "blue"), "green", False),
        ("Bool", "aws:SecureTransport", ("true",), "true", True),
    ]
    assert (ec2.action, ec2.resource, ec2.principal, ec2.label) == (
        False,
        False,
        True,
        "statement 1 of the identity policy",
    )


def test_a_managed_policy_of_aws_is_no_other_accounts() -> None:
    """Its ARN has ``aws`` where others have an account; nobody's policy stands at it, so the caller's own decides."""
    managed = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    allow = statement(action="iam:GetPolicy", resource="*")
    assert ask([allow], action="iam:GetPolicy", resource=managed).allowed
    assert not ask([allow], action="iam:GetPolicy", resource="arn:aws:iam::999988887777:policy/own").allowed
