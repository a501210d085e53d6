"""What the options of ``keyless identity`` may say, before anything is asked of AWS: it would refuse in the middle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer

from keyless.space.workload_identity.wishes import prefix_fault

if TYPE_CHECKING:
    from keyless.cli.identity import Options

_ROLE = re.compile(r"[A-Za-z0-9_+=,.@-]+", re.ASCII)
# IAM's 64, without the longest ending of ours (-shared-secrets) and a shard's (-99).
_MOST_PREFIX = 46
_KEY = re.compile(r"arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+", re.ASCII)
_POLICY = re.compile(r"arn:aws[a-z0-9-]*:iam::([0-9]{12}|aws):policy/.+", re.ASCII)


def require_options(options: Options) -> None:
    """Raises ``typer.BadParameter`` with what was expected and found."""
    if not _ROLE.fullmatch(options.prefix) or len(options.prefix) > _MOST_PREFIX:
        expected = f"expected 1 to {_MOST_PREFIX} letters, digits and _+=,.@-, as IAM takes in names of roles"
        raise _bad(f"{expected}, found {options.prefix!r}", "--role-prefix")
    if options.key and not _KEY.fullmatch(options.key):
        # A policy that names an alias allows nothing.
        raise _bad(f"expected the ARN of a key (arn:aws:kms:…:key/…, no alias), found {options.key!r}", "--kms-key")
    if options.boundary and not _POLICY.fullmatch(options.boundary):
        expected = "expected the ARN of a managed policy (arn:aws:iam::…:policy/…)"
        raise _bad(f"{expected}, found {options.boundary!r}", "--permissions-boundary")
    if options.secrets and (fault := prefix_fault(options.secrets)):
        raise _bad(fault, "--secret-prefix")


def _bad(says: str, option: str) -> typer.BadParameter:
    return typer.BadParameter(says, param_hint=option)
