"""What a bucket proves: the manifests of one control plane, whether they leave anything out, and what was counted."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2e.local_space import LocalSpace

moment = datetime.fromisoformat


@dataclass(frozen=True, slots=True)
class Stored:
    """All that is in a bucket of one control plane, in the order it was recorded."""

    manifests: list[dict[str, Any]]
    digests: list[str]
    events: list[dict[str, Any]]

    @property
    def gaps(self) -> list[dict[str, str]]:
        """Every interval that a manifest owns up to."""
        return [gap for manifest in self.manifests for gap in manifest["gaps"]]

    @property
    def missing(self) -> list[dict[str, str]]:
        """The gaps in which something could have been missed: two samples bound what lies within three intervals."""
        return [
            gap
            for manifest in self.manifests
            for gap in manifest["gaps"]
            if (moment(gap["to"]) - moment(gap["from"])).total_seconds() > 3 * manifest["intervalSeconds"]
        ]

    @property
    def counts(self) -> set[int]:
        """Every number of VPCs that was seen."""
        return {int(event["value"]) for event in self.events if event["tags"]["customresource_kind"] == "VPC"}

    def check_chain(self) -> None:
        """One chain: no segment is missing, and each manifest names the one before it."""
        numbers = [manifest["sequence"] for manifest in self.manifests]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
        assert self.manifests[0]["previousManifestSha256"] == ""
        for earlier, manifest in zip(self.digests, self.manifests[1:], strict=False):
            assert manifest["previousManifestSha256"] == earlier

    def check_nothing_is_missing(self) -> None:
        """The chain covers everything from the first sample to the last one."""
        self.check_chain()
        assert self.missing == [], self.missing
        for earlier, later in zip(self.manifests, self.manifests[1:], strict=False):
            begins = datetime.fromisoformat(later["from"])
            at_the_turn_of_the_hour = begins == datetime.fromisoformat(later["hour"])
            assert begins <= datetime.fromisoformat(earlier["to"]) or at_the_turn_of_the_hour, (earlier, later)


def stored(space: LocalSpace, bucket: str, namespace: str) -> Stored:
    """Read a bucket as its owner."""
    s3 = space.aws("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="manifest/account=").get("Contents", ())
    bodies = [_body(s3, bucket, item["Key"]) for item in listed if f"/{namespace}-" in item["Key"]]
    bodies.sort(key=lambda body: json.loads(body)["sequence"])
    manifests = [json.loads(body) for body in bodies]
    events: list[dict[str, Any]] = []
    for manifest in manifests:
        for named in (each for each in manifest["meters"] if "gzip" not in each):
            body = _body(s3, bucket, named["key"])
            assert hashlib.sha256(body).hexdigest() == named["sha256"]
        for named in manifest["objects"]:
            body = _body(s3, bucket, named["key"])
            assert hashlib.sha256(body).hexdigest() == named["sha256"]
            events += json.loads(gzip.decompress(body))
    return Stored(manifests, [hashlib.sha256(body).hexdigest() for body in bodies], events)


def _body(s3: Any, bucket: str, key: str) -> bytes:
    found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found
