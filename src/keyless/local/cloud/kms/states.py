"""Which operations a key's state and usage allow, and AWS's words where they do not; and the end of a dry run.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

from __future__ import annotations

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.model import SYMMETRIC, Key


def not_pending(key: Key) -> Key:
    """The key; raises where it waits for its deletion."""
    if key.deletion is not None:
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return key


def usable(key: Key, usage: str = "") -> Key:
    """The key for cryptography of ``usage`` (empty: any); raises where it is off, waits, or is of another kind."""
    not_pending(key)
    if not key.enabled:
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    if usage and key.usage != usage:
        text = f"{key.arn} key usage is {key.usage} which is not valid for the requested operation."
        raise AwsError("InvalidKeyUsageException", text)
    return key


def symmetric(key: Key) -> Key:
    """The key for what only symmetric encryption keys do: data keys."""
    if key.spec != SYMMETRIC:
        text = f"{key.arn} key usage is {key.usage} which is not valid for the requested operation."
        raise AwsError("InvalidKeyUsageException", text)
    return key


def rotatable(key: Key) -> Key:
    """The key for rotation; raises for other kinds."""
    if key.spec != SYMMETRIC:
        raise AwsError("UnsupportedOperationException", "")
    return key


def finish_dry_run(call: Call) -> None:
    """A dry run that got this far ends with the one error that means success; nothing is written."""
    if call.params.get("DryRun"):
        text = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", text, status=412)
