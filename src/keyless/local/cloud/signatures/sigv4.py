"""Signature Version 4: header and query form.

Pure: time and secret are arguments. What is signed is what arrived, byte for byte, so nothing here decodes more than
the canonical form needs.

Spec: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_plus

from keyless.api.numbers import is_digits
from keyless.local.cloud.signatures.refusals import SignatureFault
from keyless.local.cloud.wire.http import HttpRequest

_ALGORITHM = "AWS4-HMAC-SHA256"
_SKEW_SECONDS = 900
_LONGEST_PRESIGNED_SECONDS = 604800
_FORM = "%Y%m%dT%H%M%SZ"
_FORM_READ = re.compile(r"[0-9]{8}T[0-9]{6}Z")
#: values of x-amz-content-sha256 that stand for a body whose hash is not signed, or is signed in pieces
NOT_HASHES = frozenset(
    {
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    }
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says about its own signature; nothing of it is proven."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    timestamp: str
    token: str
    presigned: bool
    expires_seconds: int

    @property
    def scope(self) -> str:
        """The credential scope."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def signed_at(self) -> float:
        """The time of signing, in epoch seconds."""
        return datetime.fromisoformat(self.timestamp).timestamp()


def read_untrusted(request: HttpRequest) -> Signature | SignatureFault:
    """Read the signature's parts; ``MISSING`` when there is none, ``INCOMPLETE`` when parts are."""
    if authorization := request.header("authorization"):
        return _from_header(request, authorization)
    if request.argument("X-Amz-Algorithm") or request.argument("X-Amz-Signature"):
        return _from_query(request)
    return SignatureFault.MISSING


def _from_header(request: HttpRequest, authorization: str) -> Signature | SignatureFault:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != _ALGORITHM:
        return SignatureFault.INCOMPLETE
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    return _signature(
        parts.get("Credential", ""),
        parts.get("SignedHeaders", ""),
        parts.get("Signature", ""),
        request.header("x-amz-date"),
        token=request.header("x-amz-security-token"),
    )


def _from_query(request: HttpRequest) -> Signature | SignatureFault:
    argument = {name: request.argument(name) or "" for name in _QUERY_PARTS}
    if argument["X-Amz-Algorithm"] != _ALGORITHM:
        return SignatureFault.INCOMPLETE
    seconds = argument["X-Amz-Expires"] or ("" if argument["X-Amz-Credential"].find("/s3/") >= 0 else "900")
    if not is_digits(seconds) or len(seconds) > 6 or not 0 < int(seconds) <= _LONGEST_PRESIGNED_SECONDS:
        return SignatureFault.INCOMPLETE
    return _signature(
        argument["X-Amz-Credential"],
        argument["X-Amz-SignedHeaders"],
        argument["X-Amz-Signature"],
        argument["X-Amz-Date"],
        token=argument["X-Amz-Security-Token"],
        expires_seconds=int(seconds),
    )


_QUERY_PARTS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
)


def _signature(
    credential: str, headers: str, value: str, timestamp: str, *, token: str, expires_seconds: int = 0
) -> Signature | SignatureFault:
    parts = credential.split("/")
    names = tuple(headers.lower().split(";"))
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts) or not value or "host" not in names:
        return SignatureFault.INCOMPLETE
    if not _FORM_READ.fullmatch(timestamp) or not timestamp.startswith(parts[1]):
        return SignatureFault.INCOMPLETE
    try:
        datetime.fromisoformat(timestamp)  # for there is no 31 February
    except ValueError:
        return SignatureFault.INCOMPLETE
    key, date, region, service, _ = parts
    return Signature(key, date, region, service, names, value, timestamp, token, expires_seconds > 0, expires_seconds)


def check(request: HttpRequest, signature: Signature, secret: str, now: float) -> tuple[SignatureFault, str] | None:
    """Return what is wrong with ``request`` and a detail for AWS's text; None when ``secret`` signed it."""
    if fault := _bad_time(signature, now) or _unsigned_header(request, signature):
        return fault
    claimed = claimed_payload_hash(request, signature)
    text = canonical_request(request, signature, claimed)
    expected = sign(signature, secret, text)
    if not hmac.compare_digest(expected.encode(), signature.value.encode()):
        return SignatureFault.MISMATCH, ""
    if claimed not in NOT_HASHES and claimed != hashlib.sha256(request.body).hexdigest():
        return SignatureFault.WRONG_BODY, ""
    return None


def _bad_time(signature: Signature, now: float) -> tuple[SignatureFault, str] | None:
    signed_at, shown = signature.signed_at, signature.timestamp
    if signed_at > now + _SKEW_SECONDS:
        limit = _written(now + _SKEW_SECONDS)
        text = f"Signature not yet current: {shown} is still later than {limit} ({_written(now)} + 15 min.)"
        return SignatureFault.SKEWED, text
    # STS takes presigned requests for a quarter of an hour, whatever X-Amz-Expires says: kubectl's tokens rely on it.
    chosen = signature.presigned and signature.service != "sts"
    lifetime = signature.expires_seconds if chosen else _SKEW_SECONDS
    if signed_at + lifetime < now:
        limit = _written(now - lifetime)
        text = f"Signature expired: {shown} is now earlier than {limit} ({_written(now)} - {lifetime // 60} min.)"
        return (SignatureFault.EXPIRED_REQUEST if signature.presigned else SignatureFault.SKEWED), text
    return None


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_FORM)


#: added on the way by others, or proven otherwise: a session token is bound to the key that signs
_MAY_BE_UNSIGNED = frozenset({"x-amz-security-token", "x-amz-user-agent"})


def _unsigned_header(request: HttpRequest, signature: Signature) -> tuple[SignatureFault, str] | None:
    """A header that directs AWS must be signed: else who sees a request could make another of it (a copy of a put)."""
    for name, _ in request.headers:
        if name.startswith("x-amz-") and name not in signature.signed_headers and name not in _MAY_BE_UNSIGNED:
            return SignatureFault.UNSIGNED_HEADER, f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
    return None


def claimed_payload_hash(request: HttpRequest, signature: Signature) -> str:
    """The payload hash that the canonical request holds: S3 lets the client name it, elsewhere it is computed."""
    named = request.header("x-amz-content-sha256")
    if signature.service in {"s3", "s3express"}:
        return named or ("UNSIGNED-PAYLOAD" if signature.presigned else hashlib.sha256(request.body).hexdigest())
    if named and named not in NOT_HASHES:
        return named
    return hashlib.sha256(request.body).hexdigest()


def canonical_request(request: HttpRequest, signature: Signature, payload_hash: str) -> str:
    """The canonical request's text."""
    trimmed = _trimmed(request)
    headers = "".join([f"{name}:{trimmed.get(name, '')}\n" for name in signature.signed_headers])
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path, signature.service),
            _canonical_query(request.query, presigned=signature.presigned),
            headers,
            ";".join(signature.signed_headers),
            payload_hash,
        )
    )


def _trimmed(request: HttpRequest) -> dict[str, str]:
    """All headers, with the white space in their values made one space; repeated ones joined with a comma."""
    found: dict[str, str] = {}
    for name, value in request.headers:
        text = " ".join(value.split())
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _canonical_path(path: str, service: str) -> str:
    if service in {"s3", "s3express"}:
        return quote(unquote(path), safe="/-_.~")
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    trailing = "/" if path.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + trailing, safe="/-_.~")


def _canonical_query(query: str, *, presigned: bool) -> str:
    if not query:
        return ""
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and not (presigned and name == "X-Amz-Signature"):
            # A plus sign is a space, as for whoever reads the arguments: what is signed is what is done.
            pairs.append((quote(unquote_plus(name), safe="-_.~"), quote(unquote_plus(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def sign(signature: Signature, secret: str, canonical: str) -> str:
    """The signature, in hex, of a canonical request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{digest}"
    key = signing_key(secret, signature.date, signature.region, signature.service)
    return hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The derived key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
