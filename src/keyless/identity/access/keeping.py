"""Where a cluster keeps static keys: by the names of things alone, since no value of a secret is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from keyless.api import KeylessError
from keyless.identity.access.model import StaticKey
from keyless.identity.verify.kube_facts import VALUES_CONFIGMAP
from keyless.identity.verify.values import flatten
from keyless.kube import Kube, KubeObject, NotFound
from keyless.kube.resources import CLUSTERSECRETSTORES, CONFIGMAPS, SECRETSTORES, SHAREDSECRETSTORES

VARIABLE = "AWS_ACCESS_KEY_ID"
_VALUE = "billing.storage.secretRef.name"
_STORES = (SHAREDSECRETSTORES, SECRETSTORES, CLUSTERSECRETSTORES)


async def kept_keys(kube: Kube, pods: list[KubeObject]) -> tuple[tuple[StaticKey, ...], tuple[str, ...]]:
    """The places, and what could not be looked at."""
    found, unread = list(_of_pods(pods)), []
    for resource in _STORES:
        try:
            found += [one for item in (await kube.list(resource)).items for one in _of_store(resource.kind, item)]
        except NotFound:
            continue  # the cluster does not serve them
        except KeylessError as error:
            unread.append(f"{resource.plural} of the cluster: {error}")
    try:
        found += [one for item in (await kube.list(CONFIGMAPS)).items for one in _of_values(item)]
    except KeylessError as error:
        unread.append(f"the Space's values: {error}")
    return tuple(found), tuple(unread)


def _of_pods(pods: list[KubeObject]) -> Iterator[StaticKey]:
    for pod in pods:
        place = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
        variables = [each for one in _containers(pod.get("spec") or {}) for each in one.get("env") or ()]
        for each in (one for one in variables if one.get("name") == VARIABLE):
            reference = (each.get("valueFrom") or {}).get("secretKeyRef") or {}
            # A key's id is no secret; the key itself is the other variable.
            what = f"Secret {reference['name']}" if reference.get("name") else f"access key {each.get('value', '?')}"
            yield StaticKey(f"{place}: {VARIABLE} from {what}", certain=False)


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _of_store(kind: str, item: KubeObject) -> Iterator[StaticKey]:
    aws = ((item.get("spec") or {}).get("provider") or {}).get("aws") or {}
    reference = ((aws.get("auth") or {}).get("secretRef") or {}).get("accessKeyIDSecretRef") or {}
    if reference:
        metadata = item["metadata"]
        place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
        yield StaticKey(f"{kind} {place}: Secret {reference.get('name', '?')}", certain=False)


def _of_values(item: KubeObject) -> Iterator[StaticKey]:
    if item["metadata"]["name"] != VALUES_CONFIGMAP:
        return
    try:
        values = flatten(json.loads((item.get("data") or {}).get("values.json", "{}")))
    except ValueError:
        return
    if values.get(_VALUE):
        yield StaticKey(f"value {_VALUE}: Secret {values[_VALUE]}", certain=False)
