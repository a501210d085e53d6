"""Names of AWS's places, by their form alone: whether a bucket may be called so, and whether a region could be. Pure.

Buckets: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html (general purpose buckets)
"""

from __future__ import annotations

import re

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGION = re.compile(r"[a-z]{2,4}(?:-gov|-iso[a-z]?|-[a-z]{2})?-[a-z]+-\d{1,2}", re.ASCII)
"""``us-west-2``, ``us-gov-west-1``, ``cn-north-1``, ``us-iso-east-1``, ``us-isob-east-1``, ``eusc-de-east-1``."""


def bucket_fault(name: str) -> str:
    """What S3 has against a bucket of this name; empty: nothing."""
    if not _BUCKET.fullmatch(name):
        return "expected 3 to 63 of a-z, 0-9, . and -, with a letter or digit at both ends"
    if ".." in name or _ADDRESS.fullmatch(name):
        return "expected no two dots together, and not the form of an IP address"
    for part in _RESERVED_STARTS:
        if name.startswith(part):
            return f"expected another start than {part}, which AWS keeps for itself"
    for part in _RESERVED_ENDS:
        if name.endswith(part):
            return f"expected another end than {part}, which AWS keeps for itself"
    return ""


def region_fault(name: str) -> str:
    """Why no region can be called so; empty: one may."""
    return "" if _REGION.fullmatch(name) else "expected the name of an AWS region, such as us-west-2"
