"""A line of the record as CloudTrail writes it, for tools that read CloudTrail. Pure.

What AWS has no field for (the decision and its trace, facts such as the pod behind a session, faults that were asked
for) stands in ``additionalEventData``, where AWS's services put what is their own.

Spec: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html and
…/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.recorded import reads

_VERSION = "1.11"
#: the operations on objects, which a trail calls data events; the rest of S3 is management
_DATA = frozenset(
    {
        *("GetObject", "HeadObject", "PutObject", "DeleteObject", "DeleteObjects", "CopyObject", "RestoreObject"),
        *("ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts", "ListMultipartUploads"),
        *("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload"),
        *("GetObjectAttributes", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
        *("GetObjectAcl", "PutObjectAcl", "HeadBucket"),
    }
)
#: read-only to CloudTrail though nothing in their names says so
_ALSO_READ_ONLY = frozenset(
    {"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleForPodIdentity", "GetSessionToken", "Decrypt", "Encrypt"}
    | {"GenerateDataKey", "Sign", "Verify", "ReEncrypt"}
)
_TYPES = {"s3": "AWS::S3::Object", "iam": "AWS::IAM::Role", "sts": "AWS::IAM::Role", "kms": "AWS::KMS::Key"}
_NAMES = {"cloudformation": "cloudformation", "eks-auth": "eks-auth"}


def record(line: Mapping[str, Any]) -> dict[str, Any]:
    """The event of ``line`` (version 1 or 2)."""
    caller, service, name = line["caller"], line["service"], line["operation"]
    data = service == "s3" and name in _DATA
    found: dict[str, Any] = {
        "eventVersion": _VERSION,
        "userIdentity": _identity(line),
        "eventTime": f"{line['time'][:19]}Z",
        "eventSource": f"{_NAMES.get(service, service) or 'unknown'}.amazonaws.com",
        "eventName": name,
        "awsRegion": line["region"],
        "sourceIPAddress": line["sourceIp"],
        "userAgent": line["userAgent"],
        "requestParameters": line.get("parameters"),
        "responseElements": line.get("answer"),
        "additionalEventData": _additional(line),
        "requestID": line["requestId"],
        "eventID": line["eventId"],
        "readOnly": reads(name) or name in _ALSO_READ_ONLY,
        "resources": [_resource(arn, service) for arn in line["resources"]],
        "eventType": "AwsApiCall",
        "managementEvent": not data,
        "recipientAccountId": caller.get("accountId", ""),
        "eventCategory": "Data" if data else "Management",
    }
    if line["code"] != "Success":
        found["errorCode"] = line["code"]
        found["errorMessage"] = line.get("message", "")
    return found


def _additional(line: Mapping[str, Any]) -> dict[str, Any]:
    notes = {name: value for name, value in line["notes"].items() if value}
    return {"keyless": {"status": line["status"], "action": line["action"], "decision": line["decision"], **notes}}


def _resource(arn: str, service: str) -> dict[str, str]:
    found = {"ARN": arn}
    if service in _TYPES and (service != "s3" or "/" in arn):
        found["type"] = _TYPES[service]
    elif service == "s3":
        found["type"] = "AWS::S3::Bucket"
    if account := arn.split(":")[4] if arn.count(":") >= 5 else "":
        found["accountId"] = account
    return found


def _identity(line: Mapping[str, Any]) -> dict[str, Any]:
    """Who called, by kind: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/… user-identity."""
    caller, notes = line["caller"], line["notes"]
    if caller["type"] == "Role":
        return _session(caller) | _invoked_by(line)
    if caller["type"] == "User":
        return _user(caller) | _invoked_by(line)
    if caller["type"] == "FederatedUser":
        return {"type": "FederatedUser", **_ids(caller)}
    if caller["type"] == "Root":
        return {"type": "Root", **_ids(caller)}
    if line["operation"] == "AssumeRoleWithWebIdentity" and notes.get("subject"):
        # Only an answer names the provider by its ARN; a refusal knows what the token says of its issuer.
        provider = (line.get("answer") or {}).get("provider") or notes.get("issuer", "")
        who = ":".join(part for part in (provider, notes.get("audience", ""), notes["subject"]) if part)
        name = notes["subject"]
        return {"type": "WebIdentityUser", "principalId": who, "userName": name, "identityProvider": provider}
    if caller["type"] == "Anonymous":
        return {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
    return {"type": "Unknown"}


def _ids(caller: Mapping[str, Any]) -> dict[str, str]:
    return {name: caller[name] for name in ("principalId", "arn", "accountId", "accessKeyId") if caller.get(name)}


def _user(caller: Mapping[str, Any]) -> dict[str, Any]:
    found = {"type": "IAMUser", **_ids(caller), "userName": caller.get("arn", "").rpartition("/")[2]}
    return found | ({"sessionContext": {"attributes": _attributes(caller)}} if caller.get("issuedAt") else {})


def _session(caller: Mapping[str, Any]) -> dict[str, Any]:
    """A role's session; what it came from stands in ``sessionContext``."""
    role = caller.get("role", {})
    issuer = {
        "type": "Role",
        "principalId": caller.get("principalId", "").partition(":")[0],
        "arn": role.get("arn", ""),
        "accountId": caller.get("accountId", ""),
        "userName": role.get("name", caller.get("arn", "").split("/")[1:2][0] if "/" in caller.get("arn", "") else ""),
    }
    context: dict[str, Any] = {"sessionIssuer": issuer, "attributes": _attributes(caller)}
    if caller.get("provider"):
        context["webIdFederationData"] = {"federatedProvider": caller["provider"], "attributes": {}}
    if caller.get("sourceIdentity"):
        context["sourceIdentity"] = caller["sourceIdentity"]
    return {"type": "AssumedRole", **_ids(caller), "sessionContext": context}


def _attributes(caller: Mapping[str, Any]) -> dict[str, str]:
    issued = caller.get("issuedAt", "")
    return {**({"creationDate": issued} if issued else {}), "mfaAuthenticated": "false"}


def _invoked_by(line: Mapping[str, Any]) -> dict[str, str]:
    via = line.get("via") or ()
    return {"invokedBy": via[-1]} if via else {}
