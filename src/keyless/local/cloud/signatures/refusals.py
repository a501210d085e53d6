"""The faults of a signature, and the code and text in which each kind of service reports them."""

from __future__ import annotations

from enum import StrEnum

from keyless.local.cloud.errors import AwsError


class SignatureFault(StrEnum):
    """What can be wrong with the authentication of a request."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    UNKNOWN_KEY = "unknown key"
    BAD_TOKEN = "bad token"  # noqa: S105 - a fault's name
    EXPIRED_TOKEN = "expired token"  # noqa: S105 - words, no password
    SKEWED = "skewed"
    MISMATCH = "mismatch"
    WRONG_BODY = "wrong body"
    EXPIRED_REQUEST = "expired request"
    UNSIGNED_HEADER = "unsigned header"


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
_TOKEN_INVALID = "The security token included in the request is invalid."  # noqa: S105 - AWS's text
_TOKEN_EXPIRED = "The security token included in the request is expired"  # noqa: S105 - words, no password

_F = SignatureFault
_QUERY = {
    _F.MISSING: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    _F.INCOMPLETE: ("IncompleteSignature", 400, "Authorization header is incomplete."),
    _F.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _TOKEN_INVALID),
    _F.BAD_TOKEN: ("InvalidClientTokenId", 403, _TOKEN_INVALID),
    _F.EXPIRED_TOKEN: ("ExpiredToken", 403, _TOKEN_EXPIRED),
    _F.SKEWED: ("SignatureDoesNotMatch", 403, ""),
    _F.MISMATCH: ("SignatureDoesNotMatch", 403, _MISMATCH),
    _F.WRONG_BODY: ("SignatureDoesNotMatch", 403, _MISMATCH),
    _F.EXPIRED_REQUEST: ("SignatureDoesNotMatch", 403, ""),
    _F.UNSIGNED_HEADER: ("SignatureDoesNotMatch", 403, ""),
}
_JSON = {
    _F.MISSING: ("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
    _F.INCOMPLETE: ("IncompleteSignatureException", 403, "Authorization header is incomplete."),
    _F.UNKNOWN_KEY: ("UnrecognizedClientException", 403, _TOKEN_INVALID),
    _F.BAD_TOKEN: ("UnrecognizedClientException", 403, _TOKEN_INVALID),
    _F.EXPIRED_TOKEN: ("ExpiredTokenException", 403, _TOKEN_EXPIRED),
    _F.SKEWED: ("InvalidSignatureException", 403, ""),
    _F.MISMATCH: ("InvalidSignatureException", 403, _MISMATCH),
    _F.WRONG_BODY: ("InvalidSignatureException", 403, _MISMATCH),
    _F.EXPIRED_REQUEST: ("InvalidSignatureException", 403, ""),
    _F.UNSIGNED_HEADER: ("InvalidSignatureException", 403, ""),
}
_S3 = {
    _F.MISSING: ("AccessDenied", 403, "Access Denied"),
    _F.INCOMPLETE: (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header is malformed; the authorization component is incomplete.",
    ),
    _F.UNKNOWN_KEY: ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    _F.BAD_TOKEN: ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    _F.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    _F.SKEWED: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    _F.MISMATCH: (
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing"
        " method.",
    ),
    _F.WRONG_BODY: (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    _F.EXPIRED_REQUEST: ("AccessDenied", 403, "Request has expired"),
    _F.UNSIGNED_HEADER: ("AccessDenied", 403, "There were headers present in the request which were not signed"),
}
_TABLES = {"query": _QUERY, "json": _JSON, "rest-json": _JSON, "rest-xml": _S3}


def refuse(fault: SignatureFault, protocol: str, detail: str = "") -> AwsError:
    """The error for ``fault`` in services of ``protocol``; ``detail`` fills texts that name times."""
    code, status, message = _TABLES[protocol][fault]
    if protocol == "json" and status == 403:
        status = 400  # the JSON 1.x services answer every refusal of theirs with 400
    return AwsError(code, message or detail, status=status)
