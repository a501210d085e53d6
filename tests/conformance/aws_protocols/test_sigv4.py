"""botocore's SigV4 suite, from the side that verifies: the canonical form, the signature, refusal when altered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.aws_protocols.suites import request_of, sigv4_requests
from keyless.local.cloud.signatures import Signature, SignatureFault, check, read_untrusted
from keyless.local.cloud.signatures.sigv4 import canonical_request, claimed_payload_hash
from keyless.local.cloud.wire.http import HttpRequest

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REQUESTS = sigv4_requests()


def signed(path: Path) -> tuple[HttpRequest, Signature]:
    """The request of a folder with the suite's own Authorization header on it."""
    request = request_of(path.read_bytes().decode())
    if not any(name == "x-amz-date" for name, _ in request.headers):
        request = replace(request, headers=(*request.headers, ("x-amz-date", "20150830T123600Z")))
    canonical = path.with_suffix(".creq").read_text()
    for line in canonical.splitlines():
        # The signer adds the token of the credentials where it is signed and the request does not have it yet.
        if line.startswith("x-amz-security-token:") and not request.header("x-amz-security-token"):
            request = replace(request, headers=(*request.headers, tuple(line.split(":", 1))))
    authorization = path.with_suffix(".authz").read_text().strip()
    request = replace(request, headers=(*request.headers, ("authorization", authorization)))
    signature = read_untrusted(request)
    assert isinstance(signature, Signature)
    return request, signature


@pytest.mark.parametrize("path", REQUESTS or [None], ids=lambda path: path.parent.name if path else "absent")
def test_the_suite_s_signature_is_accepted(path: Path) -> None:
    request, signature = signed(path)
    expected = path.with_suffix(".creq").read_text().replace("\r", "")
    assert canonical_request(request, signature, claimed_payload_hash(request, signature)) == expected
    assert check(request, signature, SECRET, signature.signed_at) is None


@pytest.mark.parametrize("path", REQUESTS or [None], ids=lambda path: path.parent.name if path else "absent")
def test_the_same_request_with_one_thing_changed_is_refused(path: Path) -> None:
    request, signature = signed(path)
    altered = [
        replace(request, method="DELETE"),
        replace(request, path=request.path + "x"),
        replace(request, query=request.query + "&x=y"),
        replace(request, body=request.body + b"x"),
    ]
    altered += [
        replace(request, headers=tuple((n, v + "x" if n == name else v) for n, v in request.headers))
        for name in signature.signed_headers
    ]
    for other in altered:
        fault = check(other, signature, SECRET, signature.signed_at)
        assert fault is not None
        assert fault[0] in {SignatureFault.MISMATCH, SignatureFault.WRONG_BODY}
