"""Whether a store's credentials may read what is asked of it, told by real reads alone. Pure.

A store's ``Ready`` says that credentials can be had; what they may read AWS tells at a read. A key that a scope of the
Space refuses was asked of nobody, and says nothing of the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyless.api import Reason
from keyless.kube import KubeObject

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition ``Authorized`` of a store."""

    status: bool
    reason: str
    message: str


def verdict(store: KubeObject, external_secrets: Iterable[KubeObject]) -> Verdict | None:
    """Return what the reads through a store came to; None: nothing was read through it."""
    allowed, denied = 0, []
    for one in external_secrets:
        codes = _codes(store, one)
        refused = sorted(code for code in codes if code)
        allowed += not refused and bool(codes)
        denied += [f"{one['metadata']['namespace']}/{one['metadata']['name']} ({refused[0]})"] if refused else []
    if denied:
        named = ", ".join(sorted(denied)[:MOST_NAMED]) + (" …" if len(denied) > MOST_NAMED else "")
        text = f"{len(denied)} of {allowed + len(denied)} ExternalSecrets that read through it are refused: {named}"
        return Verdict(False, Reason.READ_DENIED, text)
    return Verdict(True, Reason.READ_ALLOWED, f"{allowed} ExternalSecrets read through it") if allowed else None


def _codes(store: KubeObject, one: KubeObject) -> set[str]:
    """Return AWS's code of each refusal through the store, and an empty one where something was read."""
    metadata = store["metadata"]
    if metadata.get("namespace") and one["metadata"]["namespace"] != metadata["namespace"]:
        return set()
    found: set[str] = set()
    for source in (one.get("status") or {}).get("sources") or ():
        if (source.get("storeKind"), source.get("store")) != (store.get("kind"), metadata["name"]):
            continue
        failure = source.get("failure") or {}
        code = str(failure.get("code") or "")
        if failure.get("class") in {"Denied", "KMS"} and code != Reason.KEY_NOT_IN_SCOPE:
            found.add(code)
        elif not failure and source.get("readTime"):
            found.add("")
    return found
