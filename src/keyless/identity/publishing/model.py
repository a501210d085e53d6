"""The values: what the cluster says of its issuer, where it is published, what lies there and what was noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.api import Arn

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
DISCOVERY = ".well-known/openid-configuration"
RECORD = ".keyless/issuer.json"
"""Beside the documents; it holds no secret, and whoever may read the bucket may read it."""
VERSION = 1
Jwk = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Seen:
    """The cluster as it answers: its discovery document, its keys by ``kid``, and the ``kid`` that signs now.

    ``signing`` is empty where no token could be had.
    """

    issuer: str
    jwks_uri: str
    keys: Mapping[str, Jwk]
    signing: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """``s3://BUCKET/PREFIX``, and the URL that AWS is to fetch it by: S3's own, or one that was told."""

    bucket: str
    prefix: str
    region: str
    partition: str = "aws"
    told: str = ""

    @classmethod
    def parse(cls, text: str, region: str, partition: str = "aws", told: str = "") -> Place:
        """Read ``s3://BUCKET[/PREFIX]`` or the bucket's ARN; raises ``ValueError`` that says what was expected."""
        rest = text.removeprefix("s3://") if text.startswith("s3://") else ""
        if text.startswith("arn:"):
            rest = Arn.parse(text).resource
        bucket, _, prefix = rest.partition("/")
        if not _NAME.fullmatch(bucket):
            raise ValueError(f"expected s3://BUCKET or s3://BUCKET/PREFIX, found {text!r}")
        return cls(bucket, prefix.strip("/"), region, partition, told.rstrip("/"))

    @property
    def url(self) -> str:
        """The issuer that fits the place. A name with dots fits no certificate of S3's: its path has the bucket."""
        if self.told:
            return self.told
        domain = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        host = f"s3.{self.region}.{domain}"
        base = f"https://{host}/{self.bucket}" if "." in self.bucket else f"https://{self.bucket}.{host}"
        return f"{base}/{self.prefix}" if self.prefix else base

    def key(self, name: str) -> str:
        """The object's key."""
        return f"{self.prefix}/{name}" if self.prefix else name


@dataclass(frozen=True, slots=True)
class Record:
    """When a key was first published, and since when the cluster has it no more (epoch seconds; None: it has it)."""

    since: int
    gone: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What lies there: the issuer of the discovery document (empty: there is none), the keys, and what was noted."""

    issuer: str = ""
    keys: Mapping[str, Jwk] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Documents:
    """What is to be written: key of the object → JSON, in an order that is safe to stop after any."""

    objects: tuple[tuple[str, Mapping[str, object]], ...] = ()
