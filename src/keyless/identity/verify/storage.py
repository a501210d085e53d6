"""The link to the bucket: the values name one that can exist, and what runs stores there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from keyless.api import Reason
from keyless.api.places import bucket_fault, region_fault
from keyless.identity.verify.model import (
    STORAGE_VARIABLES,
    Bucket,
    Cluster,
    Facts,
    Fix,
    Link,
    Missing,
    Pod,
    State,
)
from keyless.identity.verify.near import is_slip
from keyless.identity.verify.values import dropped, upgrade

_PLACE = ("bucket", "region", "endpoint")
_WITH_PROVIDER = ("billing.storage",)
"""Sections that name a provider beside the bucket; others know AWS alone."""
_STORED_IN = re.compile(r"s3://([a-z0-9.-]+)")


def storage_is_named(facts: Facts) -> Link | None:
    """Without a bucket nothing is stored, whatever the identity; with another one than the values say neither."""
    section = facts.subject.storage
    if not section or not facts.enabled:
        return None
    key = f"{section}.aws.bucket"
    wanted = {name: facts.space.values.get(f"{section}.{path}", "") for name, path in STORAGE_VARIABLES.items()}
    bucket, region, endpoint = (facts.space.values.get(f"{section}.aws.{each}", "") for each in _PLACE)
    expected = f"pods store in {key}={bucket or 'NAME'}"
    provider = facts.space.values.get(f"{section}.provider", "") if section in _WITH_PROVIDER else "aws"
    fault = bucket_fault(bucket) if bucket else ""
    if not bucket or fault or provider != "aws":
        said = f"{section}.provider={provider!r}, " if section in _WITH_PROVIDER else ""
        found = f"{said}{key}={bucket!r}" + (f": {fault}" if fault else "")
        link = Link("storage", State.BROKEN, expected, found, Reason.STORAGE_NOT_NAMED)
        return link.fixed_by(_named(facts, fault), f"set {key} to the name of the bucket that is meant")
    if region and not endpoint and (fault := region_fault(region)):
        found = f"{section}.aws.region={region!r}: {fault}"
        link = Link("storage", State.BROKEN, expected, found, Reason.STORAGE_NOT_NAMED)
        return link.fixed_by(_in_its_region(facts), f"set {section}.aws.region to the region of the bucket")
    elsewhere = _looked_up(facts, bucket, region, expected)
    if elsewhere:
        return elsewhere
    differing = [each for pod in facts.pods for each in _differences(pod, wanted)] or list(
        _told_elsewhere(facts, bucket)
    )
    if differing:
        # The operator rolls the pods when values change: where it has not, the control plane says why.
        advice = "the operator makes new pods when values change; the conditions of the ControlPlane say what keeps it"
        return Link("storage", State.BROKEN, expected, "; ".join(differing), Reason.STORAGE_DIFFERS, advice=advice)
    return Link("storage", State.HELD, expected, f"{key}={bucket}")


def _named(facts: Facts, fault: str) -> Fix | None:
    """The values as they were, or the bucket that was meant; none where nobody said it."""
    section, values = facts.subject.storage, facts.space.values
    bucket = values.get(f"{section}.aws.bucket", "")
    lost = dropped(facts.space, (f"{section}.",))
    unsaid = section in _WITH_PROVIDER and values.get(f"{section}.provider") != "aws"
    missing = {f"{section}.provider"} if unsaid else set()
    missing |= set() if bucket else {f"{section}.aws.bucket"}
    # What an upgrade lost is put back as a whole, but only where that is what is missing.
    if lost and not fault and missing <= set(lost.values):
        return Fix(upgrade(facts.space, lost.values), f"sets again what revision {lost.revision} dropped")
    meant = bucket.strip().removeprefix("s3://").partition("/")[0] if fault else bucket
    if not meant or bucket_fault(meant):
        return None
    changes = {f"{section}.provider": "aws"} if unsaid else {}
    return Fix(upgrade(facts.space, changes | ({f"{section}.aws.bucket": meant} if fault else {})))


def _in_its_region(facts: Facts) -> Fix | None:
    bucket = facts.bucket
    if not isinstance(bucket, Bucket) or not bucket.region:
        return None
    return Fix(upgrade(facts.space, {f"{facts.subject.storage}.aws.region": bucket.region}))


def _looked_up(facts: Facts, name: str, region: str, expected: str) -> Link | None:
    """The bucket is asked for before a permission is judged: a policy for a misspelt name helps nobody."""
    section, bucket = facts.subject.storage, facts.bucket
    if isinstance(bucket, Missing):
        near = f" (there is {', '.join(bucket.near)})" if bucket.near else ""
        found = f"no bucket {name}{near}: S3 answers NoSuchBucket"
        link = Link("storage", State.BROKEN, expected, found, Reason.BUCKET_MISSING)
        meant = [each for each in bucket.near if is_slip(name, each)]
        if len(meant) == 1:
            return replace(link, fix=upgrade(facts.space, {f"{section}.aws.bucket": meant[0]}))
        return link.fixed_by(None if meant else _make_bucket(facts, name, region), "set the name of the one meant")
    if isinstance(bucket, Bucket) and region and bucket.region and bucket.region != region:
        found = f"bucket {name} is in {bucket.region}, the values say {region}: S3 answers PermanentRedirect"
        link = Link("storage", State.BROKEN, expected, found, Reason.BUCKET_ELSEWHERE)
        return link.fixed_by(_in_its_region(facts), "")
    return None


def _make_bucket(facts: Facts, name: str, region: str) -> Fix | None:
    place = region or (facts.cluster.region if isinstance(facts.cluster, Cluster) else "")
    if not place:
        return None
    # S3 takes no constraint for the region that it began with.
    where = "" if place == "us-east-1" else f" --create-bucket-configuration LocationConstraint={place}"
    return Fix(f"aws s3api create-bucket --bucket {name} --region {place}{where}", "makes the bucket")


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
