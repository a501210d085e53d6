"""``aws-chunked`` bodies: S3's uploads that are signed piece by piece, or carry a checksum as a trailer.

Spec: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.signatures.refusals import SignatureFault, refuse
from keyless.local.cloud.signatures.sigv4 import Signature, signing_key
from keyless.local.cloud.wire.http import HttpRequest

_EMPTY = hashlib.sha256(b"").hexdigest()


def decode_chunks_untrusted(request: HttpRequest, signature: Signature | None, secret: str) -> HttpRequest:
    """Return ``request`` with its plain body, trailers as headers; claimed signatures of pieces are checked."""
    form = request.header("x-amz-content-sha256")
    if not form.startswith("STREAMING-"):
        return request
    signed = signature if form.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") else None
    if signed is None and form != "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        raise AwsError("InvalidArgument", "x-amz-content-sha256 names an unknown form of streaming", status=400)
    body, trailers = _Decoder(request.body, signed, secret).run()
    expected = request.header("x-amz-decoded-content-length")
    if expected and expected != str(len(body)):
        raise _malformed()
    return replace(request, body=body, headers=_plain_headers(request, trailers))


def _plain_headers(request: HttpRequest, trailers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    kept = []
    for name, value in request.headers:
        if name == "content-encoding":
            value = ",".join(part.strip() for part in value.split(",") if part.strip() != "aws-chunked")
            if not value:
                continue
        kept.append((name, value))
    return (*kept, *trailers.items())


def _malformed() -> AwsError:
    return AwsError("IncompleteBody", "The request body terminated unexpectedly", status=400)


class _Decoder:
    def __init__(self, data: bytes, signature: Signature | None, secret: str) -> None:
        self._data = data
        self._at = 0
        self._signature = signature
        self._previous = signature.value if signature else ""
        self._key = signing_key(secret, signature.date, signature.region, signature.service) if signature else b""

    def run(self) -> tuple[bytes, dict[str, str]]:
        pieces: list[bytes] = []
        while True:
            size, claimed = self._head()
            piece = self._take(size)
            self._verify(piece, claimed)
            if size == 0:
                return b"".join(pieces), self._trailers()
            pieces.append(piece)
            if self._take(2) != b"\r\n":
                raise _malformed()

    def _line(self) -> bytes:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            raise _malformed()
        line, self._at = self._data[self._at : end], end + 2
        return line

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise _malformed()
        piece, self._at = self._data[self._at : self._at + size], self._at + size
        return piece

    def _head(self) -> tuple[int, str]:
        size, _, extension = self._line().partition(b";")
        try:
            return int(size, 16), extension.partition(b"chunk-signature=")[2].decode("ascii")
        except ValueError:
            raise _malformed() from None

    def _verify(self, piece: bytes, claimed: str) -> None:
        if self._signature is None:
            return
        text = f"{_EMPTY}\n{hashlib.sha256(piece).hexdigest()}"
        self._previous = self._signed("AWS4-HMAC-SHA256-PAYLOAD", text, claimed)

    def _signed(self, algorithm: str, text: str, claimed: str) -> str:
        assert self._signature is not None
        whole = f"{algorithm}\n{self._signature.timestamp}\n{self._signature.scope}\n{self._previous}\n{text}"
        expected = hmac.new(self._key, whole.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), claimed.encode()):
            raise refuse(SignatureFault.MISMATCH, "rest-xml")
        return expected

    def _trailers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self._at < len(self._data) and (line := self._line()):
            name, _, value = line.decode("latin-1").partition(":")
            found[name.strip().lower()] = value.strip()
        claimed = found.pop("x-amz-trailer-signature", "")
        if self._signature is not None and found:
            text = "".join(f"{name}:{value}\n" for name, value in found.items())
            self._signed("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(text.encode()).hexdigest(), claimed)
        return found
