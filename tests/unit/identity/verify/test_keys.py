"""The key behind a resource: no answer is Allowed while nobody asked whether its key may be used."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from keyless.api import Reason
from keyless.identity.explain import Verdict, render_json, render_text
from keyless.identity.verify import verify
from keyless.identity.verify.behind import Reached, Unseen
from keyless.identity.verify.model import Unread
from keyless.policy import Unreadable
from unit.identity.explain.test_explain import ask, policies
from unit.identity.verify.chains import ACCOUNT, ROLE, irsa
from unit.identity.verify.test_gather import ALLOW

CMK = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234"
OBJECT = "arn:aws:s3:::usage/a"
SECRET = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:db-AbCdEf"
PARAMETER = f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/db"
WAYS: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "s3:PutObject",
        OBJECT,
        "kms:GenerateDataKey",
        {
            "GetBucketEncryption": {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [
                        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": CMK}}
                    ]
                }
            }
        },
    ),
    (
        "secretsmanager:GetSecretValue",
        SECRET,
        "kms:Decrypt",
        {"DescribeSecret": {"ARN": SECRET, "KmsKeyId": CMK}, "GetResourcePolicy": {}},
    ),
    (
        "ssm:GetParameter",
        PARAMETER,
        "kms:Decrypt",
        {"DescribeParameters": {"Parameters": [{"Name": "/db", "Type": "SecureString", "KeyId": CMK}]}},
    ),
]


def key_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Policy": {"Version": "2012-10-17", "Statement": list(statements)}}


def to(principal: str, action: str = "kms:*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "*", **more}


ROOT = to(f"arn:aws:iam::{ACCOUNT}:root")
GRANT = {"GranteePrincipal": ROLE, "Operations": ["Decrypt", "GenerateDataKey"]}


@pytest.mark.parametrize(("action", "resource", "asked", "found"), WAYS)
@pytest.mark.parametrize(
    ("policy", "grants", "may_use", "verdict"),
    [
        (key_policy(ROOT), [], False, Verdict.DENIED),
        (key_policy(ROOT), [], True, Verdict.ALLOWED),
        (key_policy(to(ROLE)), [], False, Verdict.ALLOWED),
        (key_policy(to("arn:aws:iam::999988887777:root")), [], True, Verdict.DENIED),
        (key_policy(ROOT), [GRANT], False, Verdict.ALLOWED),
        (key_policy(ROOT), [{**GRANT, "Operations": ["Sign"]}], False, Verdict.DENIED),
        (key_policy(ROOT), [{**GRANT, "Constraints": {"EncryptionContextEquals": {"a": "b"}}}], False, Verdict.UNKNOWN),
        (key_policy(ROOT, to("*", effect="Deny")), [GRANT], True, Verdict.DENIED),
        ("AccessDeniedException", [], True, Verdict.UNKNOWN),
        (key_policy(ROOT), "AccessDeniedException", False, Verdict.UNKNOWN),
    ],
)
async def test_the_second_question_is_asked_of_the_key(
    action: str, resource: str, asked: str, found: dict[str, Any], policy: Any, grants: Any, may_use: bool, verdict: Any
) -> None:
    allowed = [{"Effect": "Allow", "Action": action, "Resource": "*"}]
    allowed += [{"Effect": "Allow", "Action": asked, "Resource": CMK}] if may_use else []
    answer = await ask(
        {
            **found,
            "GetRolePolicy": policies(*allowed),
            "DescribeKey": {"KeyMetadata": {"Arn": CMK}},
            "GetKeyPolicy": policy,
            "ListGrants": grants if isinstance(grants, str) else {"Grants": grants},
        },
        action=action,
        resource=resource,
    )
    assert answer.verdict is verdict
    text = render_text(answer)
    assert f"{asked} on {CMK}" in text
    assert ("not seen  " in text) is (verdict is not Verdict.DENIED)
    key = render_json(answer)["key"]
    assert isinstance(key, dict)
    assert (key["action"], key["resource"]) == (asked, CMK)


@pytest.mark.parametrize(("action", "resource", "asked", "found"), WAYS)
async def test_a_key_that_could_not_be_looked_for_is_not_an_allowance(
    action: str, resource: str, asked: str, found: dict[str, Any]
) -> None:
    unread = dict.fromkeys((name for name in found if name != "GetResourcePolicy"), "AccessDeniedException")
    allow = {"Effect": "Allow", "Action": [action, asked], "Resource": "*"}
    given = {name: answer for name, answer in found.items() if name == "GetResourcePolicy"}
    changes = {**given, **unread, "GetRolePolicy": policies(allow)}
    answer = await ask(changes, action=action, resource=resource)
    assert answer.verdict is Verdict.UNKNOWN
    assert "not seen  which key is behind" in render_text(answer)
    without = await ask({**given, **found, "GetRolePolicy": policies(allow)}, action=action, resource=resource)
    assert without.verdict is Verdict.UNKNOWN
    assert f"not seen  key {CMK}" in render_text(without)


async def test_what_is_refused_already_is_not_made_uncertain_by_its_key() -> None:
    answer = await ask({**WAYS[0][3], "GetRolePolicy": policies({**ALLOW, "Effect": "Deny"})})
    assert (answer.verdict, answer.key) == (Verdict.DENIED, None)


@pytest.mark.parametrize(("action", "resource", "asked", "found"), WAYS)
@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "Unavailable"])
async def test_a_key_that_is_not_enabled_refuses_whoever_may_use_it(
    action: str, resource: str, asked: str, found: dict[str, Any], state: str
) -> None:
    changes = {
        **found,
        "GetRolePolicy": policies({"Effect": "Allow", "Action": [action, asked], "Resource": "*"}),
        "DescribeKey": {"KeyMetadata": {"Arn": CMK, "KeyState": state}},
        "GetKeyPolicy": key_policy(ROOT),
        "ListGrants": {"Grants": []},
    }
    answer = await ask(changes, action=action, resource=resource)
    (link,) = (one for one in answer.links if one.reason)
    assert (answer.verdict, link.reason) == (Verdict.DENIED, Reason.KEY_NOT_ENABLED)


async def test_a_secret_that_waits_for_its_deletion_is_not_read_whatever_the_policies_say() -> None:
    described = {"ARN": SECRET, "DeletedDate": datetime(2026, 12, 24, tzinfo=UTC)}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    changes = {"DescribeSecret": described, "GetResourcePolicy": {}, "GetRolePolicy": policies(allow)}
    answer = await ask(changes, action="secretsmanager:GetSecretValue", resource=SECRET)
    assert answer.verdict is Verdict.DENIED
    assert f"aws secretsmanager restore-secret --secret-id {SECRET}" in render_text(answer)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("GetResourcePolicy", "InvalidRequestException"),
        ("ListGrants", "KMSInvalidStateException"),
        ("GetBucketEncryption", "NoSuchBucket"),
    ],
)
async def test_a_state_that_refuses_reads_is_not_told_as_a_right_that_lacks(operation: str, code: str) -> None:
    """Its own link tells the state; what the reader could do about its credentials would not help."""
    why = f"not readable: {operation} answered {code}: no"
    state = replace(
        irsa(), reached={"x": Reached("x", Unreadable("policy of x", why), {"k": Unseen(f"grants of k: {why}")})}
    )
    assert not [link for link in verify(state) if link.name == "AWS access"]
    assert [link for link in verify(replace(irsa(), role=Unread(why))) if link.name == "AWS access"]


@pytest.mark.parametrize(("part", "verdict"), [("usage/old/*", Verdict.UNKNOWN), ("other/*", Verdict.ALLOWED)])
async def test_a_question_about_a_pattern_tells_of_the_part_that_is_denied(part: str, verdict: Verdict) -> None:
    guard = {"Sid": "Guard", "Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{part}"}
    answer = await ask(
        {"GetRolePolicy": policies({**ALLOW, "Action": "s3:DeleteObject"}, guard)},
        action="s3:DeleteObject",
        resource="arn:aws:s3:::usage/*",
    )
    assert answer.verdict is verdict
    assert ("(Guard)" in render_text(answer)) is (verdict is Verdict.UNKNOWN)
