"""AWS's own managed policies, as far as a Space meets them (``managed.json``); always there, for every account."""

from __future__ import annotations

import json
from importlib.resources import files

from keyless.local.cloud.iam.model import ManagedPolicy, PolicyVersion

_CREATED_AT = 1423148400.0


def _read() -> dict[str, ManagedPolicy]:
    text = files("keyless.local.cloud.iam").joinpath("managed.json").read_text("utf-8")
    found = {}
    for number, (name, entry) in enumerate(sorted(json.loads(text).items())):
        path = entry.get("path", "/")
        version = PolicyVersion("v1", json.dumps(entry["document"]), _CREATED_AT)
        policy = ManagedPolicy(
            name=name,
            id=f"ANPAKEYLESS{number:010d}",
            arn=f"arn:aws:iam::aws:policy{path}{name}",
            path=path,
            created_at=_CREATED_AT,
            updated_at=_CREATED_AT,
            default="v1",
            versions=(version,),
            next_version=2,
            description=entry.get("description", ""),
        )
        found[policy.arn] = policy
    return found


AWS_MANAGED = _read()
