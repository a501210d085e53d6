"""What AWS refuses as MalformedPolicyDocument, and with which words (facts/identity.md#storing)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Document, Kind, MalformedPolicy, parse
from unit.policy.asking import ACCOUNT, PROVIDER, ask, document, statement

TRUST = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"}
BUCKET_POLICY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}


def fault(source: Any, kind: Kind = "identity") -> str:
    with pytest.raises(MalformedPolicy) as caught:
        parse(source if isinstance(source, str | bytes) else json.dumps(source), kind)
    assert caught.value.code == "MalformedPolicyDocument"
    return str(caught.value)


def of(item: Any, kind: Kind = "identity", **top: Any) -> str:
    return fault({"Version": "2012-10-17", "Statement": item, **top}, kind)


def test_the_documents_of_the_guides_are_read() -> None:
    assert document(TRUST, kind="trust").statements[0].principals is not None
    assert parse({"Statement": statement()}, "identity").version == "2008-10-17"
    assert len(document(statement(), statement("Deny")).statements) == 2
    for kind in ("session", "boundary", "scp"):
        assert document(statement(), kind=kind).kind == kind
    for kind in ("resource", "rcp"):
        assert document(BUCKET_POLICY, kind=kind).kind == kind


@pytest.mark.parametrize(
    "source",
    ["", "{", "[]", "null", b"\xff", '{"a": NaN}', "[" * 50_000, '{"Version":"2012-10-17","Version":"2012-10-17"}'],
)
def test_what_is_no_json_object_has_a_text_per_kind(source: str | bytes) -> None:
    assert fault(source) == "Syntax errors in policy."
    assert fault(source, "trust") == "This policy contains invalid Json"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Effect": "allow"}, "The policy failed legacy parsing"),
        ({"Effect": "Permit"}, "Syntax errors in policy."),
        ({"Effect": ...}, "Syntax errors in policy."),
        ({"Foo": 1}, "Syntax errors in policy."),
        ({"Action": ...}, "Policy statement must contain actions."),
        ({"Action": []}, "Policy statement must contain actions."),
        ({"Action": 7}, "Syntax errors in policy."),
        ({"Action": [7]}, "Syntax errors in policy."),
        ({"NotAction": "s3:*"}, "Syntax errors in policy."),
        ({"Action": "PutObject"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ({"Action": "s3:"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ({"Action": "s3:Put:Object"}, "Actions/Condition can contain only one colon."),
        ({"Action": "s_3:PutObject"}, "Vendor s_3 is not valid"),
        ({"Resource": ...}, "Policy statement must contain resources."),
        ({"Resource": []}, "Policy statement must contain resources."),
        ({"NotResource": "*"}, "Syntax errors in policy."),
        ({"Resource": "bucket/*"}, 'Resource bucket/* must be in ARN format or "*".'),
        ({"Resource": ""}, 'Resource  must be in ARN format or "*".'),
        ({"Resource": "arn"}, 'Resource arn must be in ARN format or "*".'),
        ({"Resource": "arn:"}, 'Partition "" is not valid for resource "arn::*:*:*:*".'),
        ({"Resource": "arn:${P}:s3:::b"}, 'Partition "${P}" is not valid for resource "arn:${P}:s3:::b".'),
        ({"Resource": "arn:aws"}, "Resource vendor must be fully qualified and cannot contain regexes."),
        ({"Resource": "arn:aws:s3"}, "Resource arn:aws:s3 can not contain region information."),
        ({"Resource": "arn:aws:s3::bucket"}, "The policy failed legacy parsing"),
        ({"Resource": "arn:aws::::b"}, "The policy failed legacy parsing"),
        (
            {"Resource": "arn:aws:iam:us-east-1:111122223333:role/x"},
            "IAM resource arn:aws:iam:us-east-1:111122223333:role/x cannot contain region information.",
        ),
        (
            {"Resource": "arn:aws:iam::111122223333:*/*"},
            'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
            "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, "
            "access-report/.",
        ),
        ({"Principal": "*"}, "Policy document should not specify a principal."),
        (
            {"Sid": "with space"},
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*",
        ),
        ({"Sid": 7}, "Syntax errors in policy."),
        ({"Condition": []}, "Syntax errors in policy."),
        ({"Condition": {"StringEqual": {"a": "b"}}}, "Syntax errors in policy."),
        ({"Condition": {"stringequals": {"a": "b"}}}, "Syntax errors in policy."),
        ({"Condition": {"NullIfExists": {"a": "true"}}}, "Syntax errors in policy."),
        ({"Condition": {"ForSomeValue:StringEquals": {"a": "b"}}}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": "a"}}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": {"": "x"}}}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": {"a": {"b": 1}}}}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": {"a": [None]}}}, "Syntax errors in policy."),
    ],
)
def test_faults_of_an_identity_policy(change: dict[str, Any], text: str) -> None:
    assert (
        of(statement(**{k.lower() if k in ("Effect", "Action", "Resource") else k: v for k, v in change.items()}))
        == text
    )


@pytest.mark.parametrize("item", [None, [], "x", [7], 7])
def test_statements_must_be_there(item: Any) -> None:
    assert of(item) == "Syntax errors in policy."
    assert of(item, "trust") in ("Could not parse the policy: Statement is empty!", "Syntax error in policy.")


def test_top_level_faults() -> None:
    assert of(statement(), Foo=1) == "Syntax errors in policy."
    assert of(statement(), Version="2012-10-18") == "Syntax errors in policy."
    assert of(statement(), Id=7) == "Syntax errors in policy."
    assert of(TRUST, "trust", Version="2020-01-01") == "The policy must contain a valid version string"
    assert of([statement(Sid="A"), statement(Sid="A")]) == "Statement IDs (SID) in a single policy must be unique."
    twice = [{**TRUST, "Sid": "A b"}, {**TRUST, "Sid": "A b"}]
    assert of(twice, "trust") == "The Statement Ids in the policy are not unique"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Effect": "allow"}, "Invalid effect: allow"),
        ({"Effect": ...}, "Missing required field Effect"),
        ({"Foo": 1}, "Unknown field Foo"),
        ({"Principal": ...}, "Missing required field Principal"),
        ({"Principal": {}}, "Missing required field Principal cannot be empty!"),
        ({"Principal": "*"}, "Principal must be a JSON object."),
        ({"Principal": {"aws": "*"}}, 'Invalid principal in policy: "aws"'),
        ({"Principal": {"CanonicalUser": "abc"}}, 'Invalid principal in policy: "CanonicalUser"'),
        ({"Principal": {"AWS": "arn:aws:iam::1:role/x"}}, 'Invalid principal in policy: "AWS":"arn:aws:iam::1:role/x"'),
        (
            {"Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}},
            'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*"',
        ),
        ({"Principal": {"Service": "pods"}}, 'Invalid principal in policy: "SERVICE":"pods"'),
        ({"Principal": {"Federated": "*"}}, 'Invalid principal in policy: "FEDERATED":"*"'),
        ({"Principal": {"AWS": 7}}, "Syntax error in policy."),
        ({"NotPrincipal": {"AWS": "*"}}, "Syntax error in policy."),
        ({"Principal": ..., "NotPrincipal": {"AWS": "*"}}, "Allow with NotPrincipal is not allowed."),
        (
            {"Effect": "Deny", "Principal": ..., "NotPrincipal": {"AWS": "*"}},
            "AssumeRole policy must not contain NotPrincipal field.",
        ),
        ({"Action": ...}, "Missing required field Action"),
        ({"Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "sts:GetCallerIdentity"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "sts"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"NotAction": "sts:TagSession"}, "Syntax error in policy."),
        ({"Resource": "*"}, "Has prohibited field Resource"),
        ({"NotResource": "*"}, "AssumeRole policy must not contain resources."),
        ({"Condition": {"StringEqual": {"a": "b"}}}, "Invalid Condition type : StringEqual."),
    ],
)
def test_faults_of_a_trust_policy(change: dict[str, Any], text: str) -> None:
    assert of({k: v for k, v in {**TRUST, **change}.items() if v is not ...}, "trust") == text


@pytest.mark.parametrize(
    "text",
    [
        "arn:*:s3:::b",
        "arn:aws-us-gov:s3:::b",
        "arn:aws:ssm",
        "arn:aws:ssm:x:y",
        "arn:aws:*",
        "arn:aws:s3*",
        "arn:aws:iam::*:role/${aws:username}",
        "arn:aws:iam::111122223333:*",
        "arn:aws:s3:::",
    ],
)
def test_other_resources_are_read(text: str) -> None:
    assert isinstance(document(statement(resource=text)), Document)


def test_segments_that_are_missing_are_open() -> None:
    policy = [statement(action="ssm:*", resource="arn:aws:ssm:us-west-2")]
    for region, fits in (("us-west-2", True), ("eu-west-1", False)):
        parameter = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/x"
        assert ask(policy, action="ssm:GetParameter", resource=parameter).allowed is fits


@pytest.mark.parametrize(
    "action", ["sts:*", "sts:Assume*", "STS:assumerole", ["sts:SetSourceIdentity", "sts:SetContext"]]
)
def test_the_actions_of_a_trust_policy(action: Any) -> None:
    assert isinstance(document({**TRUST, "Action": action}, kind="trust"), Document)


def test_a_condition_without_values_meets_nothing() -> None:
    assert not ask([statement(Condition={"StringEquals": {"aws:userid": []}})]).allowed
    assert ask([statement(Condition={"StringNotEquals": {"aws:userid": []}})]).allowed


def test_a_resource_policy_needs_a_resource() -> None:
    assert of({**BUCKET_POLICY, "Resource": []}, "resource") == "Missing required field Resource"
    for short in ("arn:aws:s3", "bucket"):
        text = f'Resource {short} must be in ARN format or "*".'
        assert of({**BUCKET_POLICY, "Resource": short}, "resource") == text


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws-cn:iam::111122223333:user/path/ann",
        "arn:aws:sts::111122223333:assumed-role/r/session",
        "arn:aws:sts::111122223333:federated-user/f",
        "AROAEXAMPLEEXAMPLE123",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EH1HDMB1FH2TC",
    ],
)
def test_every_form_of_an_aws_principal_is_read(entry: str) -> None:
    assert isinstance(document({**TRUST, "Principal": {"AWS": entry}}, kind="trust"), Document)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["*", "Allow", "s3:*", "sts:AssumeRole", "${", "arn:aws:s3:::b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["AWS", "StringLike", "a", "Null", "Bool"]), inner, max_size=3)
    ),
    max_leaves=6,
)
ELEMENTS = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=6),
    st.sampled_from(["identity", "trust", "resource"]),
)
def test_any_json_is_a_document_or_malformed(item: dict[str, Any], kind: Kind) -> None:
    with contextlib.suppress(MalformedPolicy):
        assert isinstance(parse({"Statement": item}, kind), Document)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_a_document_or_malformed(source: bytes | str) -> None:
    with pytest.raises(MalformedPolicy):
        parse(source, "identity")
