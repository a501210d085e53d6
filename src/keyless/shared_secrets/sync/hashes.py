"""External Secrets' hashes, so that its objects and ours can be told apart by nothing but their time. Pure.

It hashes Go's ``%+v`` print of a value with SHA3-224.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from keyless.kube import KubeObject


def data_hash(data: Mapping[str, bytes]) -> str:
    """Return the annotation ``data-hash`` of a Secret's data."""
    inner = " ".join(f"{key}:[{' '.join(map(str, data[key]))}]" for key in sorted(data))
    return _sha3(f"map[{inner}]")


def owner_hash(namespace: str, name: str) -> str:
    """Return the label ``created-by`` of an ExternalSecret's Secret."""
    return _sha3(f"{namespace}/{name}")


def resource_version(obj: KubeObject) -> str:
    """Return ``status.syncedResourceVersion``: it changes with the spec and with any label or annotation."""
    metadata = obj["metadata"]
    annotations, labels = _printed(metadata.get("annotations")), _printed(metadata.get("labels"))
    return f"{metadata.get('generation', 0)}-{_sha3(f'{{annotations:{annotations} labels:{labels}}}')}"


def field_manager(name: str) -> str:
    """Return the field manager of an ExternalSecret's Secret."""
    suffix = name if len(name) <= 63 else f"sha3/{_sha3(name)}"
    return f"externalsecrets.external-secrets.io/{suffix}"


def _printed(pairs: Mapping[str, str] | None) -> str:
    return "map[" + " ".join(f"{key}:{(pairs or {})[key]}" for key in sorted(pairs or {})) + "]"


def _sha3(text: str) -> str:
    return hashlib.sha3_224(text.encode("utf-8", "surrogatepass")).hexdigest()
