"""What a signature of a report says: the report's own hash, and where every chain stood that it was made from. Pure.

The heads are in it so that a signed report also holds the bucket: what was stored by then cannot be changed, removed or
added to unseen by anybody who does not have the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from keyless.billing.ledger.frames import head_document, head_untrusted
from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.model import ChainHead, Malformed, moment_untrusted, stamp

VERSION = 1
SUFFIX = ".sig"
"""What a signature's name has beyond its report's."""
# Ten thousand heads are two megabytes.
SIGNATURE_LIMIT = 32 * 2**20
_PREFIX = b"keyless-billing-report-v1\n"
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed. ``sha256`` is of the report before its gzip, which two versions of zlib may write differently."""

    account: str
    start: datetime
    end: datetime
    sha256: str
    heads: tuple[ChainHead, ...]

    def written(self) -> bytes:
        """The bytes that the signature is of."""
        document = {
            "version": VERSION,
            "account": self.account,
            "from": stamp(self.start),
            "to": stamp(self.end),
            "reportSha256": self.sha256,
            "heads": [head_document(head) for head in self.heads],
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature file. ``algorithm`` is KMS's word for it, ``key`` says whose it is and proves nothing."""

    statement: bytes
    algorithm: str
    key: str
    signature: bytes

    def written(self) -> bytes:
        """The file's bytes."""
        document = {
            "version": VERSION,
            "algorithm": self.algorithm,
            "key": self.key,
            "statement": base64.b64encode(self.statement).decode(),
            "signature": base64.b64encode(self.signature).decode(),
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def message_of(statement: bytes) -> bytes:
    """What is given to the key: short, for KMS takes 4096 bytes; and never what another use of the key could mean."""
    return _PREFIX + hashlib.sha256(statement).hexdigest().encode()


def heads_of(manifests: Iterable[Covered]) -> tuple[ChainHead, ...]:
    """The last manifest of each spool."""
    last: dict[tuple[str, str], Covered] = {}
    for covered in manifests:
        place = covered.control_plane.id, covered.spool
        if place not in last or covered.sequence > last[place].sequence:
            last[place] = covered
    return tuple(
        ChainHead(plane, spool, each.sequence, each.sha256, each.end) for (plane, spool), each in sorted(last.items())
    )


class Inflated:
    """The SHA-256 of a gzip's content, of pieces as they come."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)
        self._sum = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Count a piece in; raises ``Malformed`` for what is no gzip."""
        try:
            while piece:
                self._sum.update(self._unpacker.decompress(piece, _CHUNK))
                piece = self._unpacker.unconsumed_tail
        except zlib.error:
            raise Malformed("expected a gzipped report, found something else") from None

    def sha256(self) -> str:
        """Of all that was added; raises ``Malformed`` where the end is missing, or something follows it."""
        self._sum.update(self._unpacker.flush())
        if not self._unpacker.eof or self._unpacker.unused_data:
            raise Malformed("expected a whole gzipped report and nothing after it")
        return self._sum.hexdigest()


def signature_untrusted(name: str, body: bytes) -> Signature:
    """Read a signature file; raises ``Malformed`` that names it."""
    try:
        document = _document(body)
        algorithm, key = document["algorithm"], document["key"]
        if not isinstance(algorithm, str) or not isinstance(key, str):
            raise Malformed("expected the names of algorithm and key as texts")
        statement, signature = (base64.b64decode(document[f], validate=True) for f in ("statement", "signature"))
        return Signature(statement, algorithm, key, signature)
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Malformed(f"{name}: expected a signature of a report, found {type(error).__name__}") from None


def statement_untrusted(name: str, body: bytes) -> Statement:
    """Read a statement whose signature holds; raises ``Malformed`` that names the file."""
    try:
        document = _document(body)
        account, sha256 = document["account"], document["reportSha256"]
        if not isinstance(account, str) or not isinstance(sha256, str):
            raise Malformed("expected account and reportSha256 as texts")
        heads: Sequence[Any] = document["heads"]
        start, end = moment_untrusted(document["from"]), moment_untrusted(document["to"])
        return Statement(account, start, end, sha256, tuple(head_untrusted(head) for head in heads))
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{name}: expected a statement about a report, found {type(error).__name__}") from None


def _document(body: bytes) -> Any:
    if len(body) > SIGNATURE_LIMIT:
        raise Malformed(f"expected at most {SIGNATURE_LIMIT} bytes, found {len(body)}")
    document = orjson.loads(body)
    if int(document["version"]) > VERSION:
        raise Malformed(f"version: expected {VERSION} or older: verify with a newer keyless")
    return document
