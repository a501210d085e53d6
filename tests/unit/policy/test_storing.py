"""What AWS refuses when a document is written (facts/identity.md#storing), in every kind of policy."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Document, Kind, MalformedPolicy, parse, parse_to_store
from unit.policy.asking import ACCOUNT, PROVIDER, statement

KINDS: tuple[Kind, ...] = ("identity", "session", "boundary", "trust", "resource")
LEGACY = "The policy failed legacy parsing"
FEDERATED = "Federated principals must be valid domain names or SAML metadata ARNs"
TRUST = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"}
#: operators → (values that are kept, values that are refused)
VALUES: dict[tuple[str, ...], tuple[list[Any], list[Any]]] = {
    ("IpAddress", "NotIpAddress", "IpAddressIfExists", "ForAnyValue:NotIpAddress"): (
        [
            *("10.0.0.0/8", "10.0.0.1", "10.0.0.77/24", "010.0.0.0/024", "10.0.0.0/+24", "0.0.0.0/0", "2001:db8::/64"),
            *("2001:db8::5", "2001:db8::5/128", "::/0", ["10.0.0.0/8", "2001:db8::/32"]),
        ],
        [
            *("10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0", "10.0.0.256", "", "any", "2001:db8::5/64", "::1/0"),
            *("2001:db8::/129", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "::ffff:c000:201", "${aws:SourceIp}"),
            ["10.0.0.0/8", "10.0.0.0/33"],
        ],
    ),
    ("NumericEquals", "NumericNotEquals", "NumericLessThanIfExists", "ForAllValues:NumericGreaterThanEquals"): (
        ["10", "-1", "1.5", "1e3", 10, 1.5, ["1", 2]],
        ["ten", "", "0x10", "1,5", "NaN", "Infinity", True, "${aws:MultiFactorAuthAge}", ["1", "two"]],
    ),
    ("ArnEquals", "ArnLike", "ArnNotLike", "ArnNotEqualsIfExists", "ForAnyValue:ArnLike"): (
        [
            "arn:aws:s3:::b",
            "arn:aws:iam::*:role/*",
            "*",
            "arn:*",
            "arn:aws:s3:::${aws:username}",
            "${aws:PrincipalArn}",
        ],
        ["my-cluster", "", "arn:aws:s3:b", "a:b:c:d:e:f", ["arn:aws:s3:::b", "b"]],
    ),
    ("BinaryEquals", "BinaryEqualsIfExists"): (["QUI=", "YR==", ""], ["!", "QUI", "Q", "QU I=", ["QUI=", "%"]]),
    ("Bool", "BoolIfExists", "ForAnyValue:Bool"): (["true", "false", "yes", "", True, "${aws:really}"], []),
    ("Null",): (["true", "false", "yes", "", False], []),
    ("StringEquals", "StringLike"): (["", "10.0.0.0/33", "ten", True, 7], []),
}
DATES = ["2030-01-01", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00.5+01:00", "2030", "2030-01", "0", "1893456000"]
NO_DATES = ["tomorrow", "", "2030-13-01", "2030-02-30", "01/02/2030", "2030-01-01T25:00:00Z", "${aws:CurrentTime}"]


def made(kind: Kind, condition: Any = None, **change: Any) -> dict[str, Any]:
    if kind == "trust":
        one = dict(TRUST)
    else:
        one = statement(action="s3:GetObject", resource="arn:aws:s3:::b/*")
        if kind == "resource":
            one["Principal"] = "*"
    return {"Version": "2012-10-17", "Statement": {**one, **({"Condition": condition} if condition else {}), **change}}


def fault(document: dict[str, Any], kind: Kind, **more: Any) -> str:
    with pytest.raises(MalformedPolicy) as caught:
        parse_to_store(json.dumps(document), kind, **more)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operators", VALUES)
def test_values_of_the_wrong_type_are_refused(kind: Kind, operators: tuple[str, ...]) -> None:
    kept, refused = VALUES[operators]
    text = "Syntax errors in policy." if kind in ("identity", "session", "boundary") else "Syntax error in policy."
    for operator in operators:
        for value in kept:
            assert parse_to_store(made(kind, {operator: {"aws:x": value}}), kind).statements, value
        for value in refused:
            assert fault(made(kind, {operator: {"aws:x": value}}), kind) == text, value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", ["DateEquals", "DateNotEquals", "DateLessThanIfExists", "ForAnyValue:DateEquals"])
def test_dates_that_are_none_fail_legacy_parsing(kind: Kind, operator: str) -> None:
    for value in (*DATES, DATES):
        assert parse_to_store(made(kind, {operator: {"aws:CurrentTime": value}}), kind).statements
    for value in (*NO_DATES, [DATES[0], NO_DATES[0]]):
        assert fault(made(kind, {operator: {"aws:CurrentTime": value}}), kind) == LEGACY, value


def test_without_variables_of_its_version_a_pattern_of_one_is_no_arn() -> None:
    old = {**made("identity", {"ArnLike": {"aws:x": "${aws:PrincipalArn}"}}), "Version": "2008-10-17"}
    assert fault(old, "identity") == "Syntax errors in policy."


def test_what_is_stored_already_is_read_all_the_same() -> None:
    for operators, (_, refused) in VALUES.items():
        for value in refused:
            assert isinstance(parse(made("identity", {operators[0]: {"aws:x": value}}), "identity"), Document)


@pytest.mark.parametrize("kind", ["identity", "session", "boundary"])
@pytest.mark.parametrize(
    "rest", ["us-east-1::bucket", "us-east-1::bucket/*", "*::bucket", "us-east-1:111122223333:b/k"]
)
def test_buckets_and_objects_have_no_region(kind: Kind, rest: str) -> None:
    text = f"Resource arn:aws:s3:{rest} can not contain region information."
    assert fault(made(kind, Resource=f"arn:aws:s3:{rest}"), kind) == text
    assert fault(made(kind, Resource=["*", f"arn:aws:s3:{rest}"]), kind) == text


@pytest.mark.parametrize("path", ["accesspoint/p", "accesspoint/p/object/*", "job/*", "storage-lens/x"])
def test_what_has_a_region_in_s3_may_say_so(path: str) -> None:
    resource = f"arn:aws:s3:us-east-1:{ACCOUNT}:{path}"
    assert parse_to_store(made("identity", Resource=resource), "identity").statements


PARTITIONS = st.sampled_from(["aws", "aws-cn", "aws-us-gov"])


@settings(max_examples=30, deadline=None)
@given(PARTITIONS, PARTITIONS, st.sampled_from(KINDS))
def test_a_policy_speaks_of_its_own_partition(own: str, named: str, kind: Kind) -> None:
    resource = f"arn:{named}:s3:::b"
    if kind != "trust":
        document = made(kind, Resource=["*", "arn:*:s3:::b", resource])
        if own == named:
            assert parse_to_store(document, kind, partition=own).statements
        else:
            text = f'Partition "{named}" is not valid for resource "{resource}".'
            assert fault(document, kind, partition=own) == text
    if kind in ("trust", "resource"):
        for rest in (f"iam::{ACCOUNT}:root", f"iam::{ACCOUNT}:role/r", f"sts::{ACCOUNT}:assumed-role/r/s"):
            action = {"Action": "sts:AssumeRole"} if kind == "trust" else {"Resource": "*"}
            document = made(kind, Principal={"AWS": f"arn:{named}:{rest}"}, **action)
            if own == named:
                assert parse_to_store(document, kind, partition=own).statements
            else:
                text = f'Invalid principal in policy: "AWS":"arn:{named}:{rest}"'
                assert fault(document, kind, partition=own) == text


def test_a_service_of_china_is_trusted_in_china() -> None:
    document = made("trust", Principal={"Service": "ec2.amazonaws.com.cn"}, Action="sts:AssumeRole")
    assert fault(document, "trust") == 'Invalid principal in policy: "SERVICE":"ec2.amazonaws.com.cn"'
    assert parse_to_store(document, "trust", partition="aws-cn").statements


@pytest.mark.parametrize(
    "entry",
    [
        "arn:aws:iam::1:oidc-provider/issuer.example",
        f"arn:aws:iam::{ACCOUNT}:oidc-provider/",
        f"arn:aws:iam::{ACCOUNT}:oidc/issuer.example",
        f"arn:aws:iam::{ACCOUNT}:role/r",
        f"arn:aws:iam:us-east-1:{ACCOUNT}:oidc-provider/issuer.example",
        f"arn:aws-cn:iam::{ACCOUNT}:oidc-provider/issuer.example",
        f"arn:aws:sts::{ACCOUNT}:oidc-provider/issuer.example",
        "issuer",
        "https://issuer.example",
        f"{ACCOUNT}",
    ],
)
def test_a_federated_principal_is_a_provider_or_a_domain(entry: str) -> None:
    assert fault(made("trust", Principal={"Federated": entry}), "trust") == FEDERATED
    assert fault(made("trust", Principal={"Federated": [PROVIDER, entry]}), "trust") == FEDERATED


@pytest.mark.parametrize(
    "entry",
    [PROVIDER, f"arn:aws:iam::{ACCOUNT}:saml-provider/corp", "cognito-identity.amazonaws.com", "graph.facebook.com"],
)
def test_providers_and_domains_are_kept(entry: str) -> None:
    assert parse_to_store(made("trust", Principal={"Federated": entry}), "trust").statements


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**128 - 1) | st.integers(0xFFFF << 32, (0xFFFF << 32) + 2**32 - 1) | st.integers(0, 2**32),
    st.integers(0, 128),
)
def test_an_ipv6_network_is_kept_exactly_where_it_has_no_host_bits(bits: int, prefix: int) -> None:
    address = ipaddress.IPv6Address(bits)
    host_bits = bits % (1 << (128 - prefix))
    text = f"{address}/{prefix}"
    document = made("identity", {"IpAddress": {"aws:SourceIp": text}})
    if host_bits == 0 and bits >> 32 != 0xFFFF:
        assert parse_to_store(document, "identity").statements
    else:
        assert fault(document, "identity") == "Syntax errors in policy."
