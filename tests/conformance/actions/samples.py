"""A parameter for everything that the local cloud's operations take: sound enough to come as far as the decision.

Most operations then succeed or answer that something is not there; both come after the question "may they?".
"""

from __future__ import annotations

from typing import Any

from botocore.model import Shape, StructureShape

from unit.local.cloud.support import ACCOUNT, allow, document, pods_trust

IAM = f"arn:aws:iam::{ACCOUNT}"
TAGS = [{"Key": "team", "Value": "blue"}]
POLICY = f"{IAM}:policy/sample"
PROVIDER = f"{IAM}:oidc-provider/issuer.example/id"

#: by service, then by member; ``*`` for every service
NAMED: dict[str, dict[str, Any]] = {
    "*": {"MaxItems": 10, "MaxResults": 10, "maxResults": 10},
    "iam": {
        "AWSServiceName": "eks-nodegroup.amazonaws.com",
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "ActionNames": ["s3:GetObject"],
        "AssumeRolePolicyDocument": pods_trust(),
        "CallerArn": f"{IAM}:user/sample",
        "DeletionTaskId": "task/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS/1",
        "GroupName": "sample",
        "InstanceProfileName": "sample",
        "MaxSessionDuration": 3600,
        "NewGroupName": "other",
        "NewPath": "/",
        "NewUserName": "other",
        "OpenIDConnectProviderArn": PROVIDER,
        "Path": "/",
        "PathPrefix": "/",
        "PermissionsBoundary": POLICY,
        "PolicyArn": POLICY,
        "PolicyDocument": document(allow("s3:*")),
        "PolicyInputList": [document(allow("s3:*"))],
        "PolicyName": "sample",
        "PolicySourceArn": f"{IAM}:role/sample",
        "RoleName": "sample",
        "Tags": TAGS,
        "TagKeys": ["team"],
        "ThumbprintList": ["a" * 40],
        "Url": "https://issuer.example/other",
        "UserName": "sample",
        "VersionId": "v1",
    },
    "sts": {
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "ExternalId": "sample",
        "Name": "sample",
        "RoleArn": f"{IAM}:role/sample",
        "RoleSessionName": "sample",
        "SourceIdentity": "sample",
        "Tags": TAGS,
        "TransitiveTagKeys": ["team"],
    },
    "s3": {
        "Bucket": "sample",
        "Key": "folder/sample",
        "CopySource": "sample/folder/sample",
        "Prefix": "folder/",
        "Delimiter": "/",
        "MaxKeys": 10,
        "PartNumber": 1,
        "UploadId": "sample",
        "Policy": document({**allow("s3:ListBucket", "arn:aws:s3:::sample"), "Principal": {"AWS": ACCOUNT}}),
        "Tagging": {"TagSet": TAGS},
        "Delete": {"Objects": [{"Key": "folder/sample"}]},
        "VersioningConfiguration": {"Status": "Enabled"},
        "ObjectAttributes": ["ETag"],
    },
    "secretsmanager": {
        "SecretId": "sample",
        "SecretIdList": ["sample"],
        "Name": "other",
        "SecretString": "sample",
        "Tags": TAGS,
        "TagKeys": ["team"],
        "VersionStage": "AWSCURRENT",
        "ResourcePolicy": document({**allow("secretsmanager:*"), "Principal": {"AWS": ACCOUNT}}),
    },
    "ssm": {
        "Name": "/sample/parameter",
        "Names": ["/sample/parameter"],
        "Path": "/sample",
        "Value": "sample",
        "Type": "String",
        "ResourceType": "Parameter",
        "ResourceId": "/sample/parameter",
        "Labels": ["sample"],
        "Tags": TAGS,
        "TagKeys": ["team"],
    },
    "kms": {
        "AliasName": "alias/sample",
        "KeyId": "alias/sample",
        "TargetKeyId": "alias/sample",
        "Policy": document({**allow("kms:*"), "Principal": {"AWS": f"{IAM}:root"}}),
        "PolicyName": "default",
        "Tags": [{"TagKey": "team", "TagValue": "blue"}],
        "TagKeys": ["team"],
        "Plaintext": b"sample",
        "EncryptionContext": {"team": "blue"},
        "KeySpec": "AES_256",
        "Operations": ["Decrypt"],
        "GranteePrincipal": f"{IAM}:role/sample",
    },
    "eks": {
        "name": "keyless",
        "clusterName": "keyless",
        "namespace": "sample",
        "serviceAccount": "sample",
        "roleArn": f"{IAM}:role/sample",
        "addonName": "eks-pod-identity-agent",
        "associationId": "a-" + "0" * 17,
        "resourceArn": f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless",
        "tags": {"team": "blue"},
        "tagKeys": ["team"],
        "principalArn": f"{IAM}:role/sample",
    },
    "eks-auth": {"clusterName": "keyless", "token": "a.b.c"},
    "iam-toolbox": {"authorizationId": "0" * 32, "policyUri": "sample"},
}


def sample(service: str, shape: StructureShape, *, optional: bool) -> dict[str, Any]:
    """Parameters for an operation: what it requires; with ``optional`` also what is named above."""
    named = {**NAMED["*"], **NAMED.get(service, {})}
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name in named and (name in shape.required_members or optional):
            found[name] = named[name] if _fits(member, named[name]) else _any(service, member)
        elif name in shape.required_members:
            found[name] = _any(service, member)
    return found


def _fits(shape: Shape, value: Any) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "list": list,
        "structure": dict,
        "map": dict,
        "blob": bytes,
    }
    return isinstance(value, kinds.get(shape.type_name, object))


def _any(service: str, shape: Shape) -> Any:
    """The least of a shape: a first value of an enumeration, a text that is long enough."""
    limits: dict[str, Any] = dict(shape.metadata)
    if shape.type_name == "structure":
        assert isinstance(shape, StructureShape)
        return sample(service, shape, optional=False)
    if shape.type_name == "list":
        return [_any(service, shape.member)]  # type: ignore[attr-defined]  # a list's shape has a member
    if shape.type_name == "string":
        return limits["enum"][0] if limits.get("enum") else "sample".ljust(int(limits.get("min") or 0), "x")
    values: dict[str, Any] = {"boolean": True, "blob": b"sample", "timestamp": 1_790_000_000, "map": {"team": "blue"}}
    return values.get(shape.type_name, int(limits.get("min") or 1))
