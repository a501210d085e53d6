"""Exit codes, and which failure ends in which. They are a contract: scripts and CI read them."""

from __future__ import annotations

import sys

from keyless.api import Bug, KeylessError, Transient

HELD = 0
DID_NOT_HOLD = 1  # a link of the chain is broken, a report is incomplete, nothing runs
WRONG_USE = 2  # a flag, a setting, a folder, a port: the caller can mend it
OTHER_SIDE = 3  # AWS or Kubernetes failed, or we did

REMOTE = ("keyless.kube", "keyless.aws")


def code_for(error: KeylessError) -> int:
    """``OTHER_SIDE`` for what a server said, for what may pass by itself and for bugs; ``WRONG_USE`` for the rest."""
    remote = any(kind.__module__.startswith(REMOTE) for kind in type(error).__mro__)
    return OTHER_SIDE if remote or isinstance(error, Transient | Bug) else WRONG_USE


def report(error: KeylessError) -> int:
    """Say the failure in one line on stderr; returns the exit code."""
    label = "keyless: this is a bug of ours, please report it: " if isinstance(error, Bug) else "keyless: "
    print(label + " ".join(str(error).split()), file=sys.stderr)
    return code_for(error)
