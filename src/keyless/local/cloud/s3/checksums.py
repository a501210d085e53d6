"""The checksums a client may send with an object; one that does not fit is refused before anything is stored.

CRC32, SHA-1 and SHA-256 are computed; CRC32C and CRC64NVME are stored and given back as sent, and not checked (listed
in aws-differences).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from typing import Any

from keyless.local.cloud.errors import AwsError

MEMBERS = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")
_COMPUTED: Mapping[str, Callable[[bytes], bytes]] = {
    "ChecksumCRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "ChecksumSHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "ChecksumSHA256": lambda body: hashlib.sha256(body).digest(),
}


def checked(params: Mapping[str, Any], body: bytes) -> dict[str, str]:
    """The checksums to store; raises BadDigest or InvalidDigest."""
    if (md5 := params.get("ContentMD5")) is not None:
        _same("Content-MD5", md5, hashlib.md5(body, usedforsecurity=False).digest())
    found = {name: str(params[name]) for name in MEMBERS if params.get(name)}
    for name, value in found.items():
        if name in _COMPUTED:
            _same(name.removeprefix("Checksum"), value, _COMPUTED[name](body))
    algorithm = f"Checksum{params.get('ChecksumAlgorithm') or ''}"
    if algorithm in _COMPUTED and algorithm not in found:
        found[algorithm] = b64encode(_COMPUTED[algorithm](body)).decode()
    return found


def _same(name: str, sent: str, computed: bytes) -> None:
    try:
        expected = b64decode(sent, validate=True)
    except (NotBase64, ValueError):
        raise AwsError("InvalidDigest", f"The {name} you specified is not valid.", status=400) from None
    if expected != computed:
        raise AwsError("BadDigest", f"The {name} you specified did not match the calculated checksum.", status=400)
