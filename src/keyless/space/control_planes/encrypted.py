"""What a control plane's kube-apiserver says of the encryption of Secrets, read while a key changes."""

from __future__ import annotations

import re
from dataclasses import replace

import structlog

from keyless.api import KeylessError
from keyless.api.numbers import is_digits
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, Unauthorized, Unreachable
from keyless.kube.resources import SECRETS
from keyless.space.control_planes import rotation
from keyless.space.control_planes.model import Encrypted, Facts, Written
from keyless.space.place import Place

_LOADED = re.compile(rf'^{rotation.METRIC}\{{[^}}\n]*\bhash="([^"\n]*)"[^}}\n]*\}} 1\b', re.MULTILINE | re.ASCII)
MEETS = 100
"""Secrets that are read at the end of a change to a KMS key, one after the other: a second at most."""
_log = structlog.get_logger("keyless.operator")


async def ask(facts: Facts, place: Place, inside: Kube) -> Facts:
    """Beside what is known, what the next step of a change needs. It only waits longer where it is not answered."""
    found = Encrypted()
    try:
        if rotation.wants_loaded(facts, place):
            found = replace(found, loaded=loaded(str(await inside.request("GET", "/metrics"))))
        if rotation.wants_kms(facts, place):
            found = replace(found, kms=await _of_kms(inside))
        if rotation.wants_secrets(facts, place):
            page = await inside.list(SECRETS, metadata_only=True)
            revision = int(page.resource_version) if is_digits(page.resource_version) else 0
            found = replace(found, revision=revision, secrets=tuple(_written(each) for each in page.items))
        if rotation.wants_met(replace(facts, etcd=found), place):
            found = replace(found, kms=await _met(inside))
    except KeylessError as error:
        _log.info("encryption not told", control_plane=f"{place.group}/{place.name}", error=str(error))
    return replace(facts, etcd=found)


async def _of_kms(inside: Kube) -> str:
    """What kube-apiserver says of its KMS keys, in the plugin's own words; empty: they encrypt."""
    try:
        await inside.request("GET", "/readyz/kms-providers")
    except (Unauthorized, Unreachable):
        raise
    except ApiError as error:
        return str(error)
    return ""


async def _met(inside: Kube) -> str:
    """Have kube-apiserver open Secrets, so that it holds their data keys when KMS is away next; empty: it did.

    With each file that it reads it forgets them, and asks KMS for the one of whatever is read first. A list is answered
    from its cache and opens nothing (1.36.3, docs/reference/facts/encryption-at-rest.md).
    """
    page = await inside.list(SECRETS, metadata_only=True)
    written = sorted((_written(each) for each in page.items), key=lambda each: (len(each.version), each.version))
    for each in _spread(written):
        try:
            await inside.get(SECRETS, each.name.name, each.name.namespace, metadata_only=True)
        except (Unauthorized, Unreachable):
            raise
        except NotFound:
            continue
        except ApiError as error:
            return str(error)
    return ""


def _spread(written: list[Written]) -> list[Written]:
    """Some, over the whole time in which they were written: one data key is used until KMS rotates or a start."""
    return [*written[:: max(1, -(-len(written) // MEETS))], *written[-1:]]


def loaded(metrics: str) -> tuple[str, ...]:
    """The digests of the configurations that it says it has read."""
    return tuple(_LOADED.findall(metrics))


def _written(each: KubeObject) -> Written:
    metadata = each["metadata"]
    name = Name(str(metadata.get("namespace", "")), metadata["name"])
    return Written(name, str(metadata.get("uid", "")), str(metadata.get("resourceVersion", "")))
