"""Options that the commands of ``keyless billing`` share: which account's usage, in which bucket."""

from __future__ import annotations

from typing import Annotated

import typer

AccountOption = Annotated[str, typer.Option(envvar="UP_BILLING_ACCOUNT", help="The account.")]
BucketOption = Annotated[str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage.")]
ProviderOption = Annotated[
    str, typer.Option(envvar="UP_BILLING_PROVIDER", metavar="aws", help="Where the bucket is: aws.")
]
EndpointOption = Annotated[
    str, typer.Option(envvar="UP_BILLING_ENDPOINT", metavar="URL", help="Another S3 endpoint; empty: AWS's.")
]


def checked(account: str, bucket: str, provider: str, endpoint: str) -> tuple[str, ...]:
    """The flags that name the bucket, as a printed command repeats them; raises click's usage error."""
    from urllib.parse import urlsplit

    if provider != "aws":
        raise typer.BadParameter(f"expected aws, found {provider!r}", param_hint="--provider")
    for flag, text in (("--account", account), ("--bucket", bucket)):
        if not text or not text.isprintable() or (flag == "--bucket" and "/" in text):
            raise typer.BadParameter(f"expected a name, found {text!r}", param_hint=flag)
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if endpoint and not good:
        raise typer.BadParameter(
            f"expected a URL as https://s3.example.com, found {endpoint!r}", param_hint="--endpoint"
        )
    return (f"--bucket={bucket}", *([f"--endpoint={endpoint}"] if endpoint else []))
