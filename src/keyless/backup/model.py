"""What lies in the bucket: a folder for each snapshot, and in it a manifest that is written last. Pure.

    <prefix>controlplane=<id>/<time>-<revision>/snapshot.db       etcd's own snapshot, as ``etcdutl`` reads it
                                                encryption.json   the keys that Secrets in it are encrypted with
                                                manifest.json     whose it is, of which etcd, how long, its sha256

A folder without a manifest is no snapshot: its writing was cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keyless.api import Permanent, Refusal

SNAPSHOT, ENCRYPTION, MANIFEST = "snapshot.db", "encryption.json", "manifest.json"
FILES = (SNAPSHOT, ENCRYPTION, MANIFEST)
FORMAT = 1
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-(\d{1,19})", re.ASCII)
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\b.*", re.ASCII)


class Malformed(ValueError):
    """What was read is not what was written."""


class Refused(Permanent):
    """Something about a snapshot, a volume or what etcd holds, by a reason of the catalogue."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.code = str(refusal.reason)


@dataclass(frozen=True, slots=True)
class Source:
    """The control plane that a snapshot is of."""

    id: str
    group: str = ""
    name: str = ""
    host_namespace: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What etcd says of itself."""

    version: str
    cluster_id: str
    revision: int
    holds: str = ""
    """The uid of the namespace ``kube-system`` in it; empty: unknown, or it holds none."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot; ``size`` in bytes, with the 32 of etcd's own hash at its end."""

    source: Source
    taken_at: datetime
    state: State
    size: int
    sha256: str

    @property
    def folder(self) -> str:
        """Its name below the control plane's own folder."""
        return folder_name(self.taken_at, self.state.revision)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be restored: a control plane's newest snapshot, or the one that ``folder`` names."""

    control_plane_id: str
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.control_plane_id}/{self.folder}" if self.folder else self.control_plane_id


def folder_name(taken_at: datetime, revision: int) -> str:
    """Names in the order of time."""
    return f"{taken_at.astimezone(UTC):{_STAMP}}-{revision}"


def taken_at(folder: str) -> datetime | None:
    """When a folder's snapshot was taken; None where the name is none of ours."""
    found = _NAME.fullmatch(folder)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def home(prefix: str, control_plane_id: str) -> str:
    """Where all snapshots of a control plane lie; ends in a slash."""
    return f"{prefix}controlplane={control_plane_id}/"


def wanted_of(text: str) -> Wanted | None:
    """``ID`` or ``ID/FOLDER``; None where it is neither."""
    control_plane_id, slash, folder = text.strip().partition("/")
    if not _ID.fullmatch(control_plane_id) or (slash and taken_at(folder) is None):
        return None
    return Wanted(control_plane_id, folder)


def minor_of(version: str) -> tuple[int, int] | None:
    """Major and minor of ``3.6.5-0`` or ``v3.6.5``; None where it is no version."""
    found = _VERSION.fullmatch(version.removeprefix("v"))
    return (int(found[1]), int(found[2])) if found else None


def to_bytes(manifest: Manifest) -> bytes:
    """The manifest as it is stored."""
    source, state = manifest.source, manifest.state
    document = {
        "version": FORMAT,
        "controlPlane": {
            "id": source.id,
            "group": source.group,
            "name": source.name,
            "hostNamespace": source.host_namespace,
        },
        "takenAt": f"{manifest.taken_at.astimezone(UTC):{_STAMP}}",
        "etcd": {
            "version": state.version,
            "clusterId": state.cluster_id,
            "revision": state.revision,
            "holds": state.holds,
        },
        "snapshot": {"bytes": manifest.size, "sha256": manifest.sha256},
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def read_untrusted(body: bytes) -> Manifest:
    """The manifest that somebody's bucket holds; raises ``Malformed`` with what was expected."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("expected JSON") from None
    if not isinstance(document, dict) or document.get("version") != FORMAT:
        raise Malformed(f"expected version {FORMAT}: a manifest of another release of Keyless, or of something else")
    plane, etcd, snapshot = (_mapping(document, name) for name in ("controlPlane", "etcd", "snapshot"))
    try:
        at = datetime.strptime(_text(document, "takenAt"), _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise Malformed("expected takenAt as 20261129T120000Z") from None
    sha256 = _text(snapshot, "sha256")
    if not _SHA256.fullmatch(sha256):
        raise Malformed("expected snapshot.sha256 of 64 hexadecimal digits")
    source = Source(
        _text(plane, "id"),
        *(str(plane.get(name, "")) for name in ("group", "name", "hostNamespace")),
    )
    cluster_id, holds = (str(etcd.get(name, "")) for name in ("clusterId", "holds"))
    state = State(_text(etcd, "version"), cluster_id, _count(etcd, "revision"), holds)
    return Manifest(source, at, state, _count(snapshot, "bytes"), sha256)


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    if not isinstance(found, dict):
        raise Malformed(f"expected {name} to be an object")
    return found


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not found:
        raise Malformed(f"expected {name} to be a text")
    return found


def _count(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**63:
        raise Malformed(f"expected {name} to be a number of 0 or more")
    return found
