"""The link to the bucket: the values name one that can exist, and what runs stores there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from keyless.api import Reason
from keyless.api.places import bucket_fault, region_fault
from keyless.identity.verify.model import STORAGE_VARIABLES, Facts, Link, Pod, State
from keyless.identity.verify.values import dropped, upgrade

_STORED_IN = re.compile(r"s3://([a-z0-9.-]+)")


def storage_is_named(facts: Facts) -> Link | None:
    """Without a bucket nothing is stored, whatever the identity; with another one than the values say neither."""
    section = facts.subject.storage
    if not section or not facts.enabled:
        return None
    key = f"{section}.aws.bucket"
    wanted = {name: facts.space.values.get(f"{section}.{path}", "") for name, path in STORAGE_VARIABLES.items()}
    bucket, region, endpoint = wanted.values()
    expected = f"pods store in {key}={bucket or 'NAME'}"
    lost = dropped(facts.space, (f"{section}.",))
    provider = facts.space.values.get(f"{section}.provider", "")
    fault = bucket_fault(bucket) if bucket else ""
    if not bucket or fault or provider != "aws":
        missing = {} if provider == "aws" else {f"{section}.provider": "aws"}
        missing |= {} if bucket and not fault else {key: "YOUR_BILLING_BUCKET"}
        found = f"{section}.provider={provider!r}, {key}={bucket!r}" + (f": {fault}" if fault else "")
        mend = upgrade(facts.space, lost.values if lost and not fault else missing)
        return Link("storage", State.BROKEN, expected, found, Reason.STORAGE_NOT_NAMED, mend)
    if region and not endpoint and (fault := region_fault(region)):
        found = f"{section}.aws.region={region!r}: {fault}"
        mend = upgrade(facts.space, {f"{section}.aws.region": "YOUR_REGION"})
        return Link("storage", State.BROKEN, expected, found, Reason.STORAGE_NOT_NAMED, mend)
    differing = [each for pod in facts.pods for each in _differences(pod, wanted)] or list(
        _told_elsewhere(facts, bucket)
    )
    if differing:
        name, group = (facts.control_plane.name, facts.control_plane.group) if facts.control_plane else ("", "")
        # The operator rolls the pods when values change: where it has not, the control plane says why.
        mend = f"kubectl describe controlplane {name} -n {group}"
        return Link("storage", State.BROKEN, expected, "; ".join(differing), Reason.STORAGE_DIFFERS, mend)
    return Link("storage", State.HELD, expected, f"{key}={bucket}")


def _differences(pod: Pod, wanted: dict[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        # A pod that says nothing of its place is no collector of ours: there is nothing to compare.
        if "KEYLESS_BILLING_BUCKET" in pod.env and pod.env.get(name, "") != value:
            yield f"pod {pod.name} carries {name}={pod.env.get(name, '')!r}, the values say {value!r}"


def _told_elsewhere(facts: Facts, bucket: str) -> Iterator[str]:
    """What the component itself says that it stored."""
    told = facts.control_plane.conditions.get(facts.subject.condition) if facts.control_plane else None
    found = _STORED_IN.search(told.message) if told and told.status == "True" else None
    if found and found[1] != bucket:
        yield f"{facts.subject.condition} speaks of s3://{found[1]}"
