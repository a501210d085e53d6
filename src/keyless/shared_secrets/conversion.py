"""ExternalSecrets and stores of older versions as ``external-secrets.io/v1``, and what is done otherwise here. Pure.

Versions: https://external-secrets.io/latest/api/spec/. v1alpha1 names the reference itself in ``dataFrom``; its engine
v1 has functions that v2 has not.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.gotemplate import TemplateError, parse
from keyless.shared_secrets.stores.model import AwsProvider, StoreFault, provider_of
from keyless.shared_secrets.stores.resolution import NO_AUTH
from keyless.shared_secrets.sync.model import SpecFault, wanted_of

GROUP, VERSION = "external-secrets.io", "v1"
OLDER = frozenset({"v1alpha1", "v1beta1"})
SECRETS = frozenset({"ExternalSecret", "ClusterExternalSecret"})
STORES = frozenset({"SecretStore", "ClusterSecretStore"})


@dataclass(frozen=True, slots=True)
class Converted:
    """The object, whether it was changed, and what a person must know of it."""

    object: dict[str, Any]
    changed: bool
    notes: tuple[str, ...] = ()


def convert(obj: Mapping[str, Any]) -> Converted:
    """Return an object as v1; what is of another group or kind is left as it is."""
    made = copy.deepcopy(dict(obj))
    group, _, version = str(obj.get("apiVersion") or "").partition("/")
    kind = str(obj.get("kind") or "")
    name = f"{kind} {(obj.get('metadata') or {}).get('name', '')!r}"
    if group != GROUP or version not in {*OLDER, VERSION}:
        return Converted(made, False, (f"{name}: left as it is: {obj.get('apiVersion')} is not converted",))
    if kind not in SECRETS | STORES:
        return Converted(made, False, (f"{name}: left as it is: its kind is not implemented",))
    made["apiVersion"] = f"{GROUP}/{VERSION}"
    made.pop("status", None)  # it is the older controller's
    notes: list[str] = []
    if kind in SECRETS:
        spec = made.get("spec") or {}
        inner = spec if kind == "ExternalSecret" else spec.get("externalSecretSpec") or {}
        notes += _external_secret(inner, version)
        notes += _fault(made["metadata"], inner)
    else:
        notes += _store(made.get("spec") or {})
    return Converted(made, version != VERSION, tuple(f"{name}: {note}" for note in notes))


def _external_secret(spec: dict[str, Any], version: str) -> list[str]:
    notes = []
    if version == "v1alpha1":
        spec["dataFrom"] = [one if "extract" in one or "find" in one else {"extract": one} for one in _list(spec)]
        if not spec["dataFrom"]:
            del spec["dataFrom"]
    template = (spec.get("target") or {}).get("template")
    if isinstance(template, dict):
        # In v1alpha1 an engine that is not named is the first.
        engine = template.pop("engineVersion", None) or ("v1" if version == "v1alpha1" else "v2")
        if engine == "v1":
            notes.append("template: engine v1 is gone; values are texts now, so drop toString, and check each function")
        notes += _templates(template)
    return notes


def _list(spec: Mapping[str, Any]) -> list[Any]:
    found = spec.get("dataFrom")
    return list(found) if isinstance(found, list) else []


def _templates(template: Mapping[str, Any]) -> list[str]:
    notes = []
    for key, text in (template.get("data") or {}).items():
        try:
            parse(str(text), name=f"target.template.data.{key}")
        except TemplateError as error:
            notes.append(str(error))
    return notes


def _fault(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    try:
        wanted_of({"metadata": {"name": metadata.get("name", ""), "namespace": "default"}, "spec": spec})
    except SpecFault as fault:
        return [str(fault)]
    except (KeyError, TypeError, AttributeError):
        return ["a field that is needed is missing, or is of another type"]
    notes = []
    if (spec.get("target") or {}).get("creationPolicy", "Owner") == "Owner":
        notes.append("a Secret of this name that nobody owns is not taken over unless it is annotated to be")
    return notes


def _store(spec: Mapping[str, Any]) -> list[str]:
    try:
        provider = provider_of(spec)
    except StoreFault as fault:
        return [str(fault)]
    return [NO_AUTH] if isinstance(provider, AwsProvider) and provider.auth is None else []
