"""What the collector must reach: nothing but writing new objects; and what the scheduled export must.

``s3:PutObject`` is enough, and the guide's Pod Identity policy grants no ``s3:DeleteObject``: the collector never
renames, deletes, lists or reads.
"""

from __future__ import annotations

from typing import Any

from keyless.api import Access
from keyless.api.kms_names import key_arn
from keyless.aws.writing import BARE, HEADERS, Writing

EXPORT = "billing-export"
"""The scheduled export: component and service account."""
_NEVER_SENT = ("x-amz-storage-class", "x-amz-website-redirect-location", "object-lock-mode", "if-match")


def signing_arn(key: str, place: tuple[str, str, str]) -> str:
    """The ARN of what ``billing.signing.kmsKeyId`` names; ``place``: partition, region and account. Empty: nothing.

    Raises ``Permanent`` where it names no key: with a wildcard in it a policy would let in what nobody named.
    """
    return key_arn(key, place, "billing.signing.kmsKeyId", "signs")


def signing_statements(arn: str) -> list[dict[str, Any]]:
    """The smallest policy to sign with the key of :func:`signing_arn`.

    IAM knows keys only, no aliases: by its alias a key may be used whichever it is, so that it can be rotated.
    """
    if not arn:
        return []
    place, _, name = arn.rpartition(":")
    allowed = {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:Sign"]}
    if not name.startswith("alias/"):
        return [{**allowed, "Resource": arn}]
    return [{**allowed, "Resource": f"{place}:key/*", "Condition": {"StringEquals": {"kms:RequestAlias": name}}}]


def access(bucket: str, account: str, *, partition: str = "aws", writing: Writing = BARE, signs: str = "") -> Access:
    """The collector's needs for one bucket, into which it writes as ``writing`` has it.

    A list of grantees (``x-amz-acl``) is a permission of its own; a key is asked for behind the bucket.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return Access(
        component="vector",
        service_account="vector",
        actions=("s3:PutObject", *(["s3:PutObjectAcl"] if writing.acl else [])),
        resources=(f"{arn}/account={account}/*", f"{arn}/manifest/*"),
        probe="s3:PutObject",
        sent=_sent(writing),
        signs=signs,
    )


def _sent(writing: Writing) -> tuple[tuple[str, str], ...]:
    """The headers that S3 makes condition keys of: facts/s3-writes.md."""
    said = writing.members(b"", "")
    members = ("ServerSideEncryption", "SSEKMSKeyId", "ACL", "IfNoneMatch")
    told = [(f"s3:{HEADERS[name].lower()}", said.get(name, "")) for name in members]
    return (*told, *((f"s3:{name}", "") for name in _NEVER_SENT))


def export_access(
    bucket: str,
    account: str,
    reports: tuple[str, str],
    *,
    partition: str = "aws",
    writing: Writing = BARE,
    signs: str = "",
) -> Access:
    """The scheduled export's needs: it reads an account's usage and writes its reports, and neither the other way.

    ``reports`` are the bucket and the prefix that they go to. Listings are bound to the account by ``s3:prefix``.
    """
    arn, place = f"arn:{partition}:s3:::{bucket}", f"arn:{partition}:s3:::{reports[0]}"
    read = tuple(f"{arn}/{each}" for each in _usage_of(account))
    kept = f"{place}/{reports[1].strip('/')}/account={account}/*"
    buckets = tuple(dict.fromkeys((arn, place)))
    puts = ("s3:PutObject", *(["s3:PutObjectAcl"] if writing.acl else []))
    only = {"s3:ListBucket": buckets, "s3:GetObject": read, **dict.fromkeys(puts, (kept,))}
    return Access(
        component=EXPORT,
        service_account=EXPORT,
        actions=tuple(only),
        resources=(*buckets, *read, kept),
        probe="s3:PutObject",
        sent=(*_sent(writing), ("s3:prefix", f"manifest/account={account}/date=")),
        only=tuple(only.items()),
        signs=signs,
    )


def export_statements(needs: Access, account: str, prefix: str) -> list[dict[str, Any]]:
    """The smallest policy for what :func:`export_access` declares, one statement for each kind of call."""
    only = dict(needs.only)
    below = [*_usage_of(account), f"{prefix.strip('/')}/account={account}/*"]
    puts = [action for action in needs.actions if action.startswith("s3:Put")]
    listed = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": list(only["s3:ListBucket"])}
    return [
        {**listed, "Condition": {"StringLike": {"s3:prefix": below}}},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": list(only["s3:GetObject"])},
        {"Effect": "Allow", "Action": puts, "Resource": list(only["s3:PutObject"])},
    ]


def _usage_of(account: str) -> tuple[str, ...]:
    """What an export reads; dimensions are a report's."""
    return tuple(f"{name}account={account}/*" for name in ("", "manifest/", "waiver/"))
