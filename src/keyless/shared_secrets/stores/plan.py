"""Who may use a store, and where its references point. Pure.

Rules: https://external-secrets.io/latest/api/clustersecretstore/ and https://docs.upbound.io (shared secret stores)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import re2

from keyless.api import Reason
from keyless.kube.selectors import matches
from keyless.shared_secrets.stores.model import AwsProvider, ServiceAccountAuth, StaticAuth, StoreFault

NAMESPACE_NAME = "kubernetes.io/metadata.name"


def allows_namespace(store_spec: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> bool:
    """Return whether a ClusterSecretStore's conditions let ``namespace`` use it; none given: every namespace."""
    conditions = store_spec.get("conditions") or ()
    return not conditions or any(_condition_holds(condition, namespace, labels) for condition in conditions)


def _condition_holds(condition: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> bool:
    selector = condition.get("namespaceSelector")
    if selector is not None and matches(selector, dict(labels)):
        return True
    if namespace in (condition.get("namespaces") or ()):
        return True
    return any(_found(pattern, namespace) for pattern in condition.get("namespaceRegexes") or ())


def _found(pattern: str, namespace: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options).search(namespace) is not None
    except re2.error:
        raise StoreFault(
            Reason.INVALID_STORE_CONFIGURATION, f"namespaceRegexes: {pattern!r} is no RE2 expression"
        ) from None


def selects(selector: Mapping[str, Any] | None, name: str, labels: Mapping[str, str]) -> bool:
    """Return whether a Space selector takes ``name``: in ``names`` and matched by a label selector, each if given."""
    names, label_selectors = (selector or {}).get("names") or (), (selector or {}).get("labelSelectors") or ()
    if not names and not label_selectors:
        return False
    if names and name not in names:
        return False
    return not label_selectors or any(matches(one, dict(labels)) for one in label_selectors)


def reference_namespaces(provider: AwsProvider, *, cluster_wide: bool, namespace: str) -> AwsProvider:
    """Return ``provider`` with the namespace of every reference filled in.

    A SecretStore may only name its own namespace. A ClusterSecretStore without one means the ExternalSecret's
    (``namespace``); an empty ``namespace`` then leaves it open: the caller cannot resolve it yet.
    """
    auth = provider.auth
    if auth is None:
        return provider
    refs = [auth] if isinstance(auth, ServiceAccountAuth) else _static_refs(auth)
    for ref in refs:
        if ref.namespace and not cluster_wide and ref.namespace != namespace:
            raise StoreFault(
                Reason.INVALID_STORE_CONFIGURATION,
                f"{ref.name}: a SecretStore refers to its own namespace {namespace}, found {ref.namespace}",
            )
    return _filled(provider, namespace)


def is_referent(provider: AwsProvider) -> bool:
    """Return whether a reference has no namespace of its own."""
    auth = provider.auth
    refs = [auth] if isinstance(auth, ServiceAccountAuth) else _static_refs(auth) if auth else []
    return any(not ref.namespace for ref in refs)


def _static_refs(auth: StaticAuth) -> list[Any]:
    return [ref for ref in (auth.access_key_id, auth.secret_access_key, auth.session_token) if ref]


def _filled(provider: AwsProvider, namespace: str) -> AwsProvider:
    auth = provider.auth
    if isinstance(auth, ServiceAccountAuth):
        return replace(provider, auth=replace(auth, namespace=auth.namespace or namespace))
    assert auth is not None
    filled = {
        name: replace(ref, namespace=ref.namespace or namespace)
        for name in ("access_key_id", "secret_access_key", "session_token")
        if (ref := getattr(auth, name))
    }
    return replace(provider, auth=replace(auth, **filled))
