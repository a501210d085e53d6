"""The custom resources of the Space, as CustomResourceDefinitions carried in the package.

``HOST`` are served by the cluster on which the Space runs, ``TENANT`` inside every control plane. They are written by
hand; where a schema contains another (a shared external secret contains an external secret) the two texts are equal.

The files are read by name from this package; nothing else is read.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

HOST = (
    "controlplanes.spaces.upbound.io",
    "sharedsecretstores.spaces.upbound.io",
    "sharedexternalsecrets.spaces.upbound.io",
    "workloadidentities.keyless.dev",
    "spacelicenses.admin.spaces.upbound.io",
)
TENANT = (
    "secretstores.external-secrets.io",
    "clustersecretstores.external-secrets.io",
    "externalsecrets.external-secrets.io",
    "clusterexternalsecrets.external-secrets.io",
    "pushsecrets.external-secrets.io",
    "passwords.generators.external-secrets.io",
    "uuids.generators.external-secrets.io",
    "ecrauthorizationtokens.generators.external-secrets.io",
)

__all__ = ["HOST", "TENANT", "all", "load"]


def load(name: str) -> dict[str, Any]:
    """The definition called ``name`` (``plural.group``); a fresh object each time. Raises ``KeyError``."""
    if name not in HOST + TENANT:
        raise KeyError(f"no definition {name!r}: there are {', '.join(HOST + TENANT)}")
    plural, _, group = name.partition(".")
    text = resources.files(__package__).joinpath(f"{group}_{plural}.yaml").read_text(encoding="utf-8")
    definition: dict[str, Any] = yaml.load(text, _LOADER)  # noqa: S506 - the C twin of the safe loader
    return definition


def all() -> list[dict[str, Any]]:  # noqa: A001 - read as ``crds.all()``
    """Every definition, those of the host first."""
    return [load(name) for name in HOST + TENANT]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
