"""What is asked about a resource where nobody says which actions: what its service's readers and writers do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from keyless.api import Arn
from keyless.identity.verify.near import resembling

_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
_BUCKET = ("s3:ListBucket", "s3:PutBucketPolicy")
_OF_SERVICE = {
    "s3": _OBJECTS,
    "secretsmanager": (
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:DeleteSecret",
        "secretsmanager:PutResourcePolicy",
    ),
    "ssm": ("ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter"),
    "kms": ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:PutKeyPolicy"),
    "iam": ("sts:AssumeRole",),
}
_LONG = {"secretsmanager": "secret:", "ssm": "parameter/", "kms": "key/", "iam": "role/"}


class Unasked(ValueError):
    """What was given is nothing that can be asked about; the words say why and what would be."""


def parsed(text: str) -> Arn:
    """The ARN of a resource; raises :class:`Unasked`, with the ARN that was perhaps meant."""
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise Unasked(f"expected the ARN of a resource, found {text!r}{_meant(text)}") from None
    known = _LONG.get(arn.service)
    if arn.service not in _OF_SERVICE:
        return arn
    if known and not arn.resource.startswith(known):
        raise Unasked(f"expected {known}… after the account, found {arn.resource!r} in {text!r}")
    if arn.service in ("secretsmanager", "ssm", "kms") and not (arn.region and arn.account):
        raise Unasked(f"expected a region and an account in {text!r}: it is one resource that is asked about")
    if arn.service == "s3" and (arn.region or arn.account):
        raise Unasked(
            f"expected no region and no account in the ARN of a bucket, found {text!r}: arn:aws:s3:::NAME/KEY"
        )
    return arn


def _meant(text: str) -> str:
    """An ARN for what people type instead of one."""
    if text.startswith("s3://") and text != "s3://":
        return f"; arn:aws:s3:::{text.removeprefix('s3://').rstrip('/')} is that of {text}"
    if text and ":" not in text and " " not in text and not text.startswith(("-", "/")):
        return f"; arn:aws:s3:::{text} would be that of a bucket"
    return ": arn:aws:s3:::BUCKET, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, …"


def asked_about(arn: Arn, actions: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of action and resource; of a bucket also about its objects. Raises :class:`Unasked` for other services."""
    wanted = tuple(actions) or _OF_SERVICE.get(arn.service, ())
    if not wanted:
        near = resembling(arn.service, _OF_SERVICE)
        meant = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
        known = ", ".join(_OF_SERVICE)
        raise Unasked(f"which actions, with --action: expected a service of {known}, found {arn.service!r}{meant}")
    if arn.service != "s3" or "/" in arn.resource:
        return tuple((one, str(arn)) for one in wanted)
    if not actions:
        wanted = (*_BUCKET, *wanted)
    objects = Arn(arn.partition, "s3", "", "", f"{arn.resource}/*")
    return tuple((one, str(objects if "object" in one.lower() else arn)) for one in wanted)
