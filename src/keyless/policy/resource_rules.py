"""What IAM refuses in a Resource of a policy that it keeps itself (identity, boundary, session), in its words.

Segments that are missing count as ``*``: IAM quotes them so in its texts. Whether an action knows such a resource is
not IAM's question, and not asked here. Seen in reports of users and in moto's validator.
"""

from __future__ import annotations

import re

from keyless.policy.arns import SEGMENTS
from keyless.policy.errors import MalformedPolicy

_PARTITION = re.compile(r"aws(-[a-z]+)*")
_IAM_PATHS = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)
#: resources of S3 whose ARNs have a region: buckets and objects have none
_OF_A_REGION = (
    "accesspoint/",
    "access-grants/",
    "async-request/",
    "job/",
    "storage-lens/",
    "storage-lens-group/",
)
_LEGACY = "The policy failed legacy parsing"


def whole_resource(text: str) -> str:
    """The Resource with all six segments; raises :class:`MalformedPolicy` where IAM refuses it."""
    if text == "*":
        return text
    segments = text.split(":", SEGMENTS - 1)
    if segments[0] != "arn" or len(segments) == 1:
        raise MalformedPolicy(f'Resource {text} must be in ARN format or "*".')
    _, partition, service, region, _, path = padded = segments + ["*"] * (SEGMENTS - len(segments))
    whole = ":".join(padded)
    if partition != "*" and not _PARTITION.fullmatch(partition):
        raise MalformedPolicy(f'Partition "{partition}" is not valid for resource "{whole}".')
    if len(segments) == 2:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    if not service:
        raise MalformedPolicy(_LEGACY)
    if service == "iam":
        _check_iam(text, region, path)
    elif service == "s3":
        _check_s3(text, segments, region, path)
    return whole


def _check_s3(text: str, segments: list[str], region: str, path: str) -> None:
    if 3 < len(segments) < SEGMENTS:
        raise MalformedPolicy(_LEGACY)
    if region and not path.startswith(_OF_A_REGION):
        raise MalformedPolicy(f"Resource {text} can not contain region information.")


def _check_iam(text: str, region: str, path: str) -> None:
    if region:
        raise MalformedPolicy(f"IAM resource {text} cannot contain region information.")
    if path != "*" and not path.startswith(_IAM_PATHS):
        raise MalformedPolicy(f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.')
