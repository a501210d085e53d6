"""Whether a bucket, secret or parameter is there: asked before anybody judges a permission for it. Reads only.

HeadBucket and ListAllMyBuckets of S3, DescribeSecret and ListSecrets of Secrets Manager, DescribeParameters of Systems
Manager. What could not be asked is passed over: that something is missing must be certain to be said.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from keyless.api import Arn
from keyless.aws import AWS_FAILURES, Session, caller_identity
from keyless.identity.verify.buckets import bucket
from keyless.identity.verify.model import Missing
from keyless.identity.verify.near import resembling

# A secret's ARN ends in a hyphen and six characters that AWS chose; a declared pattern has question marks there.
_SUFFIXED = re.compile(r"(.+)-(?:[A-Za-z0-9]{6}|\?{6})", re.ASCII)
# Names are a courtesy: one page of them is enough to find a slip, and cheap in an account with thousands.
_PAGE = 50


async def missing(aws: Session, resource: str) -> Missing | None:
    """The resource of an ARN, or of a declared pattern of one, where it is certainly not there."""
    try:
        arn = Arn.parse(resource)
    except ValueError:
        return None
    look = _LOOK.get(arn.service)
    if look is None or "*" in resource:
        return None
    found = await look(aws.in_region(arn.region) if arn.region else aws, arn)
    return found if found is None or await _is_ours(aws, arn) else None


async def _is_ours(aws: Session, arn: Arn) -> bool:
    """Names are looked up among our own: of another account's secret or parameter they tell nothing."""
    if not arn.account:
        return True
    try:
        return (await caller_identity(aws)).account == arn.account
    except AWS_FAILURES:
        return False


async def _bucket(aws: Session, arn: Arn) -> Missing | None:
    found = await bucket(aws, arn.resource.partition("/")[0])
    return found if isinstance(found, Missing) else None


async def _secret(aws: Session, arn: Arn) -> Missing | None:
    name = arn.resource.removeprefix("secret:")
    named = _SUFFIXED.fullmatch(name)
    # An ARN may lack its suffix, and a name may end in what looks like one: both are asked for.
    names = ([] if "?" in name else [name]) + ([named[1]] if named else [])
    for each in names:
        try:
            found = await aws.call("secretsmanager", "DescribeSecret", SecretId=each)
        except AWS_FAILURES as error:
            if error.code != "ResourceNotFoundException":
                return None
        else:
            return None if _is_meant(str(arn), found.get("ARN", "")) else Missing(each, (found["ARN"],))
    return Missing(names[-1], await _near_secrets(aws, names[-1])) if names else None


def _is_meant(asked: str, found: str) -> bool:
    """Whether the secret of that name is the one: made anew, or in another region, it has another ARN."""
    if not found:
        return True
    # The end may be left out, or declared as six question marks.
    return found == asked or found[:-7] == asked.removesuffix("-??????")


async def _near_secrets(aws: Session, name: str) -> tuple[str, ...]:
    try:
        listed = await aws.call("secretsmanager", "ListSecrets", MaxResults=_PAGE)
    except AWS_FAILURES:
        return ()  # that the secret is missing is the fact
    return resembling(name, (one["Name"] for one in listed.get("SecretList", ())))


async def _parameter(aws: Session, arn: Arn) -> Missing | None:
    path = arn.resource.removeprefix("parameter/")
    names = [path, f"/{path}"]  # the ARN does not tell whether the name begins with a slash
    filters = [{"Key": "Name", "Option": "Equals", "Values": names}]
    try:
        if (await aws.call("ssm", "DescribeParameters", ParameterFilters=filters)).get("Parameters"):
            return None
        listed = await aws.call("ssm", "DescribeParameters", MaxResults=_PAGE)
    except AWS_FAILURES:
        return None  # not certain
    return Missing(path, resembling(path, (one["Name"] for one in listed.get("Parameters", ()))))


_LOOK: Mapping[str, Callable[[Session, Arn], Awaitable[Missing | None]]] = {
    "s3": _bucket,
    "secretsmanager": _secret,
    "ssm": _parameter,
}
