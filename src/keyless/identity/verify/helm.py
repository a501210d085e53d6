"""Read a Helm release's history from its Secrets: which values each revision was given.

Storage format: https://helm.sh/docs/topics/advanced/#storage-backends (JSON in gzip in base64, in a Secret's base64).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib

from keyless.identity.verify.model import Revision
from keyless.identity.verify.values import flatten
from keyless.kube import KubeObject

# A release may hold a megabyte at most (a Secret's limit); what unpacks to much more is no release.
_MOST_BYTES = 64 * 1024 * 1024


def revision_of(secret: KubeObject) -> Revision | None:
    """The revision in a release Secret, ``None`` if it holds none."""
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        text = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, _MOST_BYTES)
        release = json.loads(text)
        return Revision(int(release["version"]), flatten(release.get("config") or {}))
    except (KeyError, TypeError, ValueError, binascii.Error, gzip.BadGzipFile, zlib.error):
        return None


def is_deployed(secret: KubeObject) -> bool:
    """Whether a revision took effect: a failed or pending one changed nothing that counts."""
    return secret["metadata"].get("labels", {}).get("status") in ("deployed", "superseded")
