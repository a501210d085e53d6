"""Options that the commands of ``keyless billing`` share: which account's usage, in which bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keyless.aws.writing import Writing

AccountOption = Annotated[str, typer.Option(envvar="UP_BILLING_ACCOUNT", help="The account.")]

AccountsOption = Annotated[
    list[str] | None,
    typer.Option("--account", envvar="UP_BILLING_ACCOUNT", metavar="<str>", help="The account; may be repeated."),
]
AllAccountsOption = Annotated[
    bool, typer.Option("--all-accounts", help="Every account that the bucket holds usage of.")
]
BucketOption = Annotated[str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage.")]
ProviderOption = Annotated[
    str, typer.Option(envvar="UP_BILLING_PROVIDER", metavar="aws", help="Where the bucket is: aws.")
]
EndpointOption = Annotated[
    str, typer.Option(envvar="UP_BILLING_ENDPOINT", metavar="URL", help="Another S3 endpoint; empty: AWS's.")
]
EncryptionOption = Annotated[
    str,
    typer.Option(
        "--server-side-encryption",
        envvar="KEYLESS_BILLING_SERVER_SIDE_ENCRYPTION",
        metavar="AES256|aws:kms|aws:kms:dsse",
        help="How the record is encrypted, where the bucket's policy demands it.",
    ),
]
KeyOption = Annotated[
    str,
    typer.Option(
        "--ssekms-key-id", envvar="KEYLESS_BILLING_SSEKMS_KEY_ID", metavar="KEY", help="With which key, with aws:kms."
    ),
]
OwnerOption = Annotated[
    str,
    typer.Option(
        "--expected-bucket-owner",
        envvar="KEYLESS_BILLING_EXPECTED_BUCKET_OWNER",
        metavar="ACCOUNT",
        help="The account that the bucket must belong to.",
    ),
]
AclOption = Annotated[
    str,
    typer.Option(
        "--acl",
        envvar="KEYLESS_BILLING_ACL",
        metavar="bucket-owner-full-control",
        help="Who may read it, where the policy of another account's bucket demands it.",
    ),
]


def writing_of(encryption: str, key: str, owner: str, acl: str = "") -> Writing:
    """How the record is written; raises click's usage error."""
    from keyless.aws.writing import Writing

    writing = Writing(encryption, key, owner, acl)
    if writing.faults:
        raise typer.BadParameter("; ".join(writing.faults))
    return writing


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
