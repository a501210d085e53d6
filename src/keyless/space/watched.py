"""What is kept of objects that are watched: of hundreds of control planes each byte counts hundreds of times. Pure."""

from __future__ import annotations

from keyless.kube import KubeObject

NAMES = ("name", "namespace", "uid", "resourceVersion", "labels")


def named(obj: KubeObject) -> KubeObject:
    """Which object it is, in which version, and whose: enough for whoever is only to be woken."""
    return {"metadata": {key: obj["metadata"][key] for key in NAMES if key in obj["metadata"]}}


def unmanaged(obj: KubeObject) -> KubeObject:
    """All but the managed fields, which are as long as the rest and which nobody reads."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
