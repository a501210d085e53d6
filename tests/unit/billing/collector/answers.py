# ruff: noqa: E501
# fmt: off
"""What S3, or what stands before it, may answer to a write: the answer, and what is said of it."""

from __future__ import annotations

from keyless.api import Permanent, Transient


def xml(code, message="No.", **fields):
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


# what comes: the answer, the class of the failure, its code, what its message holds
GONE_ON = {
    "no bucket": ((404, xml("NoSuchBucket", "The specified bucket does not exist"), {}), Permanent, "NoSuchBucket", "does not exist"),
    "refused": (
        (403, xml("AccessDenied", "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:PutObject because no identity-based policy allows it &amp; more"), {}),
        Permanent,
        "AccessDenied",
        "because no identity-based policy allows it & more",
    ),
    "another region, by header": (
        (301, xml("PermanentRedirect", "Please send all future requests"), {"x-amz-bucket-region": "eu-west-1"}),
        Permanent,
        "PermanentRedirect",
        "bucket usage is in eu-west-1, the request went to us-east-1: set billing.storage.aws.region=eu-west-1",
    ),
    "another region, by body": (
        (400, xml("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'", Region="eu-west-1"), {}),
        Permanent,
        "AuthorizationHeaderMalformed",
        "bucket usage is in eu-west-1",
    ),
    "an opt-in region": (
        (400, xml("IllegalLocationConstraintException", "no"), {"x-amz-bucket-region": "me-south-1"}),
        Permanent,
        "IllegalLocationConstraintException",
        "bucket usage is in me-south-1",
    ),
    "slow down": ((503, xml("SlowDown", "Please reduce your request rate."), {}), Transient, "SlowDown", "reduce"),
    "broken": ((500, xml("InternalError", "We encountered an internal error."), {}), Transient, "InternalError", "internal"),
    "unavailable": ((503, xml("ServiceUnavailable"), {}), Transient, "ServiceUnavailable", "No."),
    "two writers at once": ((409, xml("ConditionalRequestConflict"), {}), Transient, "ConditionalRequestConflict", ""),
    "expired token": ((400, xml("ExpiredToken", "The provided token has expired."), {}), Transient, "ExpiredToken", "expired"),
    "unknown key id": ((403, xml("InvalidAccessKeyId"), {}), Permanent, "InvalidAccessKeyId", ""),
    "wrong secret": ((403, xml("SignatureDoesNotMatch"), {}), Permanent, "SignatureDoesNotMatch", ""),
    "clock too far off": ((403, xml("RequestTimeTooSkewed"), {}), Transient, "RequestTimeTooSkewed", ""),
    "key of another account": ((403, xml("KMS.DisabledException", "key is disabled"), {}), Permanent, "KMS.DisabledException", "disabled"),
    "a code nobody knows": ((418, xml("Teapot", "short and stout"), {}), Permanent, "Teapot", "stout"),
    "a proxy's page": ((403, b"<html><body>Blocked by policy</body></html>", {}), (Permanent, Transient), None, "PutObject"),
    "a proxy's text": ((502, b"Bad Gateway", {}), Transient, None, "PutObject"),
    "an empty refusal": ((403, b"", {}), Permanent, "403", "PutObject"),
}
