"""The rules for names of buckets. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from keyless.local.cloud.errors import AwsError

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: what buckets of us-east-1 could be called before March 2018: they may still be asked for
_OLD_NAME = re.compile(r"[A-Za-z0-9._-]{3,255}")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def must_be_a_new_name(name: str) -> None:
    """Refuse a name that a new bucket may not have."""
    reserved = name.startswith(_PREFIXES) or name.endswith(_SUFFIXES)
    if not _NAME.fullmatch(name) or ".." in name or reserved or _address(name):
        raise _invalid(name)


def must_be_a_name(name: str) -> None:
    """Refuse what never was the name of a bucket."""
    if not _OLD_NAME.fullmatch(name):
        raise _invalid(name)


def _address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


def _invalid(name: str) -> AwsError:
    return AwsError("InvalidBucketName", "The specified bucket is not valid.", status=400, fields={"BucketName": name})
