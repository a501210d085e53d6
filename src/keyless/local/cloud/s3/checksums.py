"""The checksums a client may send with an object; one that does not fit is refused before anything is stored. Pure.

An object without one is given CRC64NVME, as S3 does. An upload in parts has a checksum of its parts' checksums
(``COMPOSITE``: ``…-3``) or one of the whole object (``FULL_OBJECT``; the CRCs alone can be that).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from keyless.local.cloud.errors import AwsError

_Digest = Callable[[bytes], bytes]


def _crc(model: str, width: int) -> _Digest:
    @cache
    def calculate() -> Callable[[bytes], int]:
        # Imported where it is first needed: a Space that stores nothing does not pay for it.
        import anycrc

        made: Callable[[bytes], int] = anycrc.Model(model).calc
        return made

    return lambda body: calculate()(body).to_bytes(width, "big")


_DIGESTS: Mapping[str, _Digest] = {
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "CRC32C": _crc("CRC32-ISCSI", 4),
    "CRC64NVME": _crc("CRC64-NVME", 8),
    "SHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "MD5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
}
_LENGTHS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32, "SHA512": 64, "MD5": 16}
ALGORITHMS = tuple(_DIGESTS)
MEMBERS = tuple(f"Checksum{name}" for name in ALGORITHMS)
#: what S3 computes where the client sends nothing
DEFAULT = "CRC64NVME"
_WHOLE = {"CRC32", "CRC32C", "CRC64NVME"}
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"


def computed(algorithm: str, body: bytes) -> str:
    """The checksum as S3 writes it."""
    return b64encode(_DIGESTS[algorithm](body)).decode()


def checked(params: Mapping[str, Any], body: bytes, *, default: str = DEFAULT) -> dict[str, str]:
    """The one checksum to store, by member; raises BadDigest, InvalidDigest or InvalidRequest."""
    check_md5(params, body)
    sent = _sent(params)
    if sent is None:
        return {f"Checksum{default}": computed(default, body)} if default else {}
    algorithm, value = sent
    actual = computed(algorithm, body)
    if _bytes_of(algorithm, value) != b64decode(actual):
        raise AwsError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", status=400)
    return {f"Checksum{algorithm}": actual}


def check_md5(params: Mapping[str, Any], body: bytes) -> None:
    """Hold ``Content-MD5`` against the body."""
    claimed = params.get("ContentMD5")
    if claimed is None:
        return
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    try:
        expected = b64decode(claimed, validate=True)
    except (NotBase64, ValueError):
        expected = b""
    if len(expected) != len(digest):
        text = "The Content-MD5 you specified was invalid."
        raise AwsError("InvalidDigest", text, status=400, fields={"Content-MD5": str(claimed)})
    if expected != digest:
        raise AwsError(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            status=400,
            fields={"ExpectedDigest": str(claimed), "CalculatedDigest": b64encode(digest).decode()},
        )


def _sent(params: Mapping[str, Any]) -> tuple[str, str] | None:
    """The algorithm and the value that came."""
    found = [name for name in params if name.startswith("Checksum") and name not in _NO_SUMS and params[name]]
    named = algorithm_of(params)
    if len(found) > 1:
        text = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise AwsError("InvalidRequest", text, status=400)
    if not found:
        if not named:
            return None
        text = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers"
        raise AwsError("InvalidRequest", f"{text} were found.", status=400)
    algorithm = _known(found[0].removeprefix("Checksum"))
    if named and named != algorithm:
        text = f"Value for x-amz-sdk-checksum-algorithm header is invalid: {named} is not the checksum that was sent."
        raise AwsError("InvalidRequest", text, status=400)
    return algorithm, str(params[found[0]])


_NO_SUMS = {"ChecksumAlgorithm", "ChecksumMode", "ChecksumType"}


def algorithm_of(params: Mapping[str, Any]) -> str:
    """The algorithm that the request names; empty: none."""
    named = str(params.get("ChecksumAlgorithm") or "").upper()
    return _known(named) if named else ""


def _known(algorithm: str) -> str:
    if algorithm in _DIGESTS:
        return algorithm
    text = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
    raise AwsError("InvalidRequest", f"{text}[{', '.join(sorted(_DIGESTS))}]", status=400)


def _bytes_of(algorithm: str, value: str) -> bytes:
    try:
        found = b64decode(value, validate=True)
    except (NotBase64, ValueError):
        found = b""
    if len(found) != _LENGTHS[algorithm]:
        text = f"Value for x-amz-checksum-{algorithm.lower()} header is invalid."
        raise AwsError("InvalidRequest", text, status=400)
    return found


def type_of_upload(algorithm: str, wanted: str) -> str:
    """COMPOSITE or FULL_OBJECT; raises where the algorithm cannot be that."""
    found = wanted or (FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE)
    if (found == FULL_OBJECT and algorithm not in _WHOLE) or (found == COMPOSITE and algorithm == "CRC64NVME"):
        text = f"The {found} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise AwsError("InvalidRequest", text, status=400)
    return found


def of_parts(algorithm: str, kind: str, parts: Sequence[str], body: bytes) -> str:
    """The checksum of an object made of ``parts`` (their checksums) that together are ``body``."""
    if kind == FULL_OBJECT:
        return computed(algorithm, body)
    return f"{computed(algorithm, b''.join(map(b64decode, parts)))}-{len(parts)}"
