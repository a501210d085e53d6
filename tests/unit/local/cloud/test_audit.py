"""What the record tells of a call, in CloudTrail's terms, and what it never tells."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from botocore import UNSIGNED

from keyless.local.cloud.cloudtrail import record
from keyless.local.cloud.faults import Fault
from keyless.local.cloud.recorded import ALSO_HIDDEN, HIDDEN, reads, shown
from keyless.local.cloud.wire.shapes import Shape
from unit.local.cloud.support import (
    ACCOUNT,
    ISSUER,
    PROVIDER,
    World,
    a_role,
    allow,
    irsa_trust,
    pod_token,
    refusal,
    signing_key,
)


def events(world: World) -> list[dict[str, Any]]:
    return [record(line) for line in world.audit()]


def test_a_users_call_is_a_cloudtrail_event(world: World) -> None:
    world.aws("iam").create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust(), Description="of vector")
    event = events(world)[-1]
    admin = world.cloud.directory.user("keyless-admin")
    assert admin is not None
    assert event["userIdentity"] == {
        "type": "IAMUser",
        "principalId": admin.id,
        "arn": admin.arn,
        "accountId": ACCOUNT,
        "accessKeyId": world.cloud.admin_credentials().access_key_id,
        "userName": "keyless-admin",
    }
    assert event["eventVersion"] == "1.11"
    assert (event["eventSource"], event["eventName"]) == ("iam.amazonaws.com", "CreateRole")
    assert event["eventTime"] == "2026-09-21T14:13:20Z"
    assert event["requestParameters"] == {
        "roleName": "billing",
        "assumeRolePolicyDocument": irsa_trust(),
        "description": "of vector",
    }
    assert event["responseElements"]["role"]["arn"] == f"arn:aws:iam::{ACCOUNT}:role/billing"
    assert (event["readOnly"], event["managementEvent"], event["eventCategory"]) == (False, True, "Management")
    assert (event["eventType"], event["recipientAccountId"]) == ("AwsApiCall", ACCOUNT)
    assert {"errorCode", "errorMessage"}.isdisjoint(event)


def test_a_sessions_call_tells_the_role_behind_it(world: World) -> None:
    keys = a_role(world, allow("s3:ListAllMyBuckets"))
    world.aws("s3", keys).list_buckets()
    identity = events(world)[-1]["userIdentity"]
    role = world.cloud.directory.role("reader")
    assert role is not None
    assert (identity["type"], identity["principalId"]) == ("AssumedRole", f"{role.id}:test")
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/test"
    assert identity["sessionContext"] == {
        "sessionIssuer": {
            "type": "Role",
            "principalId": role.id,
            "arn": role.arn,
            "accountId": ACCOUNT,
            "userName": "reader",
        },
        "attributes": {"creationDate": "2026-09-21T14:13:20.000Z", "mfaAuthenticated": "false"},
    }


def test_a_web_identity_is_told_by_its_claims_and_never_by_its_token(world: World) -> None:
    world.issuers.publish(ISSUER, signing_key())
    iam = world.aws("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    arn = iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())["Role"]["Arn"]
    token = pod_token(world)
    sts = world.aws("sts", False)
    made = sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="pod", WebIdentityToken=token)
    event = events(world)[-1]
    assert event["userIdentity"]["type"] == "WebIdentityUser"
    assert event["userIdentity"]["userName"] == "system:serviceaccount:mxp-1-system:vector"
    assert event["userIdentity"]["principalId"].endswith(":sts.amazonaws.com:" + event["userIdentity"]["userName"])
    assert event["userIdentity"]["identityProvider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
    assert event["requestParameters"] == {"roleArn": arn, "roleSessionName": "pod", "webIdentityToken": HIDDEN}
    given = event["responseElements"]["credentials"]
    assert (given["secretAccessKey"], given["sessionToken"]) == (HIDDEN, HIDDEN)
    assert given["accessKeyId"] == made["Credentials"]["AccessKeyId"]
    text = orjson.dumps(world.audit()).decode()
    for secret in (token, made["Credentials"]["SecretAccessKey"], made["Credentials"]["SessionToken"]):
        assert secret not in text


def test_a_refusal_has_aws_s_words_and_ours_apart(world: World) -> None:
    keys = a_role(world, allow("s3:ListAllMyBuckets"))
    _, message, _ = refusal(world.aws("ssm", keys).get_parameter, Name="p")
    event = events(world)[-1]
    assert (event["errorCode"], event["errorMessage"]) == ("AccessDeniedException", message)
    assert event["additionalEventData"]["keyless"]["decision"]["outcome"] == "ImplicitDeny"
    assert event["resources"] == [{"ARN": f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/p", "accountId": ACCOUNT}]


def test_who_could_not_prove_who_it_is_has_no_name(world: World) -> None:
    refusal(world.aws("sts", {"AccessKeyId": "AKIA", "SecretAccessKey": "x"}).get_caller_identity)
    event = events(world)[-1]
    assert event["userIdentity"] == {"type": "Unknown"}
    assert event["errorCode"] == "InvalidClientTokenId"
    assert event["userAgent"].startswith("Botocore/")


def test_an_anonymous_caller_of_s3_is_named_as_s3_names_it(world: World) -> None:
    world.aws("s3").create_bucket(Bucket="closed", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    refusal(world.aws("s3", signature_version=UNSIGNED).get_object, Bucket="closed", Key="k")
    event = events(world)[-1]
    assert event["userIdentity"] == {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
    assert (event["managementEvent"], event["eventCategory"]) == (False, "Data")
    assert event["resources"][0]["type"] == "AWS::S3::Object"


def test_secret_values_are_hidden_wherever_they_come_from(world: World) -> None:
    sms, ssm, kms, iam = (world.aws(name) for name in ("secretsmanager", "ssm", "kms", "iam"))
    sms.create_secret(Name="s", SecretString="planted-1")
    sms.get_secret_value(SecretId="s")
    refusal(ssm.put_parameter, Name="/bad name/", Value="planted-2", Type="Nope")
    ssm.put_parameter(Name="p", Value="planted-3", Type="String")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.encrypt(KeyId=key, Plaintext=b"planted-4")
    iam.create_user(UserName="dev")
    secret = iam.create_access_key(UserName="dev")["AccessKey"]["SecretAccessKey"]
    s3 = world.aws("s3")
    s3.create_bucket(Bucket="closed", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="closed", Key="k", Body=b"planted-5", Metadata={"password": "planted-6"})
    told = orjson.dumps(world.audit()).decode()
    assert "planted" not in told
    assert secret not in told
    by_name = {line["operation"]: line for line in world.audit()}
    assert by_name["CreateSecret"]["parameters"]["secretString"] == HIDDEN
    assert by_name["PutParameter"]["parameters"]["value"] == HIDDEN
    assert by_name["CreateAccessKey"]["answer"]["accessKey"]["secretAccessKey"] == HIDDEN
    assert "answer" not in by_name["GetSecretValue"]


def test_a_message_that_quotes_a_hidden_value_is_hidden(world: World) -> None:
    sms = world.aws("secretsmanager")
    sms.create_secret(Name="s", SecretString="x")
    refusal(world.aws("ssm").put_parameter, Name="p", Value="planted", Type="planted")
    assert "planted" not in orjson.dumps([line.get("message") for line in world.audit()]).decode()


#: names that sound like secrets and are none
HARMLESS = re.compile(
    r"(Next|Continuation|Request|Client|Idempotency|Page|Pagination|Version|GlobalEndpoint)\w*Token\w*|nextToken|Marker"
    r"|\w*ARN|\w*Arn|SecretId\w*|SecretList|SecretVersions?\w*|SecretsToDelete|SubjectFromWebIdentityToken"
    r"|clientRequestToken|ForceDelete\w*|GrantTokens|PasswordLastUsed|PasswordReset\w*|.*[pP]olicy.*|\w*Plaintext\w*Hash"
    r"|NumberOfBytes|GrantToken|Signature|\w*(Stage|Stages)",
)
SOUNDS_SECRET = re.compile(r"secret|token|password|plaintext|private|credential", re.IGNORECASE)


def texts(shape: Shape | None, seen: set[int], path: str) -> list[tuple[str, str, Shape]]:
    """Every text that a shape can hold: (path, name, shape)."""
    if shape is None or id(shape) in seen:
        return []
    seen.add(id(shape))
    found = []
    for name, member in shape.members.items():
        inner = member
        while inner.kind == "list":
            inner = inner.member
        if inner.kind == "structure":
            found += texts(inner, seen, f"{path}.{name}")
        elif inner.kind == "string":
            found.append((f"{path}.{name}", name, member))
    return found


def test_nothing_that_sounds_like_a_secret_is_shown_of_any_operation(world: World) -> None:
    bare = []
    for service in world.cloud.app.services:
        for name, operation in service.model.operations.items():
            sides = [operation.input_shape, None if reads(name) else operation.output_shape]
            for path, member, shape in [one for side in sides for one in texts(side, set(), f"{service.name}.{name}")]:
                hidden = shape.sensitive or member in ALSO_HIDDEN
                if SOUNDS_SECRET.search(member) and not hidden and not HARMLESS.fullmatch(member):
                    bare.append(path)
    assert bare == []


def test_long_texts_and_lists_end(world: World) -> None:
    shape = world.cloud.app.services[1].model.operation("CreateRole").input_shape
    assert shape is not None
    told = shown(shape, {"Description": "x" * 5000, "Tags": [{"Key": "k", "Value": "v"}] * 200})
    assert (len(told["description"]), len(told["tags"])) == (2048, 100)


@pytest.mark.parametrize("kind", ["lose-answer", "error"])
def test_a_fault_stands_in_the_event(world: World, kind: str) -> None:
    world.cloud.app.faults.set(Fault(kind, "ssm"))
    with pytest.raises(Exception, match=r"InternalServer|lost"):
        world.aws("ssm").put_parameter(Name="p", Value="v", Type="String")
    assert events(world)[-1]["additionalEventData"]["keyless"]["faults"] == [f"{kind}:ssm:*"]
