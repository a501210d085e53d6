"""What others answered, in words that hold nothing of a Secret. Pure.

Kubernetes and webhooks quote what they refuse; AWS may quote what it was asked, or anything. So an answer is told by
its known words alone, and whatever else it says stays out.
"""

from __future__ import annotations

import re

from keyless.aws.errors import AwsPermanent, AwsTransient
from keyless.kube import ApiError

# https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go (StatusReason, CauseType)
_REASONS = frozenset(
    [
        "AlreadyExists",
        "BadRequest",
        "Conflict",
        "Expired",
        "Forbidden",
        "Gone",
        "InternalError",
        "Invalid",
        "MethodNotAllowed",
        "NotAcceptable",
        "NotFound",
        "RequestEntityTooLarge",
        "ServerTimeout",
        "ServiceUnavailable",
        "StoreReadError",
        "Timeout",
        "TooManyRequests",
        "Unauthorized",
        "UnsupportedMediaType",
    ]
)
_CAUSES = frozenset(
    [
        "FieldManagerConflict",
        "FieldValueDuplicate",
        "FieldValueForbidden",
        "FieldValueInvalid",
        "FieldValueNotFound",
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
        "NamespaceTerminating",
        "ResourceVersionTooLarge",
        "UnexpectedServerResponse",
    ]
)
# Without what stands in brackets: a key that a template made is computed from what was read.
_FIELDS = frozenset(
    [
        "data",
        "immutable",
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.ownerReferences",
        "stringData",
        "type",
    ]
)
# What AWS says that is worth telling: who may not do what, and what is not there. Each is matched whole.
_ARN, _NAME = r"arn:[\w+=,.@:/?*-]+", r"[\w+=,.@:/*-]+"
_LAYER = r"(identity|resource|session|permissions|service control|resource control|VPC endpoint)[\w -]{0,30}"
_WHY = rf"( because no {_LAYER} allows the [\w:-]+ action| with an explicit deny in an? {_LAYER}(: {_ARN})?)?"
_PENDING = r"You can't perform this operation on the secret because it was (marked for deletion|deleted)\."
# Systems Manager passes KMS's answer on with where it comes from.
_FROM_KMS = r"( ?\(Service: AWSKMS; Status Code: \d+; Error Code: \w+; Request ID: [\w-]+; Proxy: null\))?"
_SENTENCES = tuple(
    re.compile(f"({text}){_FROM_KMS}")
    for text in (
        rf"User: {_ARN} is not authorized to perform: [\w:-]+( on resource: {_NAME})?{_WHY}",
        r"Secrets Manager can't find the specified secret\.",
        r"Secrets Manager can't find the specified secret value for (staging label|VersionId): [\w+=,.@:/-]+",
        _PENDING,
        r"You provided a VersionStage that is not associated to the provided VersionId\.",
        r"Secrets Manager can't decrypt the protected secret text using the provided KMS key\.",
        r"Access to KMS is not allowed( This version of secret is not encrypted with the current KMS key\.)?",
        r"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you "
        r"are not allowed to access\.",
        r"Rate exceeded|no message|",
        r"The security token included in the request is (expired|invalid)\.?",
        r"Systems Manager could not find version [\w.-]+ of [\w./-]+\. Verify the version and try again\.",
        r"Parameter name: can't be prefixed with [\"\w \-().,;/:]+ can be formed as a mix of letters, numbers and the "
        r"following 3 symbols \.-_",
        r"Parameter name: can't be prefixed with \"aws\" or \"ssm\" \(case-insensitive\)\.",
        r"Parameter name must be a fully qualified name\.",
        r"Invalid parameter name\. Please use correct syntax for referencing a version/label  <name>:<version/label>",
    )
)
READS = frozenset(
    {
        "GetSecretValue",
        "BatchGetSecretValue",
        "DescribeParameters",
        "DescribeSecret",
        "GetParameter",
        "GetParameters",
        "ListSecrets",
        "ListTagsForResource",
    }
)
WRITES = frozenset(
    {
        "AddTagsToResource",
        "CreateSecret",
        "DeleteParameter",
        "DeleteSecret",
        "GetAuthorizationToken",
        "PutParameter",
        "PutSecretValue",
    }
)
UNTOLD = "AWS's words are left out, they may quote a value; its record has them by the request's id"


def of_kubernetes(error: ApiError) -> str:
    """Return ``Kubernetes answered Invalid for data (FieldValueInvalid)``."""
    reason = error.reason if error.reason in _REASONS else str(error.code or "nothing")
    details = error.status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    told = sorted({_cause(cause) for cause in causes or () if isinstance(cause, dict)})
    return f"Kubernetes answered {reason}" + (f" for {', '.join(told)}" if told else "")


def of_aws(error: AwsTransient | AwsPermanent) -> str:
    """Return what a person needs of AWS's answer: its own sentence where it is one that quotes no payload."""
    # Who gives credentials has seen no payload; nor has the SDK when no answer came.
    if not error.answered or error.operation not in READS | WRITES:
        return error.message
    return sentence(error.message)


def sentence(message: str) -> str:
    """Return ``message`` if it is known to hold nothing of a payload, else that it is left out."""
    return message if any(known.fullmatch(message) for known in _SENTENCES) else UNTOLD


def _cause(cause: dict[str, object]) -> str:
    field = re.split(r"[\[]", str(cause.get("field") or ""), maxsplit=1)[0]
    reason = str(cause.get("reason") or "")
    return f"{field if field in _FIELDS else 'a field'} ({reason if reason in _CAUSES else 'refused'})"
