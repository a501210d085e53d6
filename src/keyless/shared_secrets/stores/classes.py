"""Whose a store is: ``spec.controller`` names the controller that serves it. Pure.

External Secrets serves stores without a class and those of its own (``--controller-class``); we do the same with ours.
So in one cluster each store that names a class has one controller alone.

Facts: docs/reference/facts/external-secrets-sync.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keyless.kube import KubeObject
from keyless.shared_secrets.stores import model
from keyless.shared_secrets.stores.resolution import SECRET_STORE, StoreRef

FindStore = Callable[[StoreRef, str], KubeObject | None]
"""Returns the store that a reference in a namespace means, as last seen."""


def is_ours(store: KubeObject | None) -> bool:
    """Return whether a store is ours to serve; one that does not exist is nobody else's."""
    return model.is_ours((store or {}).get("spec") or {})


def serves(spec: Mapping[str, Any], namespace: str, store: FindStore) -> bool:
    """Return whether all stores of an ExternalSecret's spec are ours: with one of another's it is left alone."""
    return all(is_ours(store(ref, namespace)) for ref in store_refs(spec))


def store_refs(spec: Mapping[str, Any]) -> Iterator[StoreRef]:
    """Yield every store that the spec names, whatever else is wrong with it."""
    items = [item for part in ("data", "dataFrom") for item in spec.get(part) or () if isinstance(item, Mapping)]
    refs = [spec.get("secretStoreRef"), *((item.get("sourceRef") or {}).get("storeRef") for item in items)]
    for ref in refs:
        if isinstance(ref, Mapping) and ref.get("name"):
            yield StoreRef(str(ref["name"]), str(ref.get("kind") or SECRET_STORE))
