"""Exit codes, and which failure ends in which. They are a contract: scripts and CI read them."""

from __future__ import annotations

import os
import sys
import traceback

from keyless.api import Bug, KeylessError, Permanent, Transient, os_failure

HELD = 0
DID_NOT_HOLD = 1  # a link of the chain is broken, a report is incomplete, nothing runs
WRONG_USE = 2  # a flag, a setting, a folder, a port: the caller can mend it
OTHER_SIDE = 3  # AWS or Kubernetes failed, or we did

# Of a chain (`keyless verify`) and of an answer (`keyless explain`): what could not be read is the other side's.
OF_VERDICT = {
    "Held": HELD,
    "Broken": DID_NOT_HOLD,
    "Allowed": HELD,
    "Denied": DID_NOT_HOLD,
    "Unknown": OTHER_SIDE,
}

REMOTE = ("keyless.kube", "keyless.aws")


TRACED = "KEYLESS_LOG_LEVEL"


def unforeseen(error: Exception) -> int:
    """Say a failure that no command foresaw, without a trace unless debugging was asked for; returns the exit code.

    The trace goes without the failure's words and values: nobody knows what they quote.
    """
    told = named(error, f"{TRACED}=debug shows its trace")
    if isinstance(told, Bug) and os.environ.get(TRACED, "").lower() == "debug":
        print("".join(traceback.format_tb(error.__traceback__)), end="", file=sys.stderr)
    return report(told)


class Stopped(Permanent):
    """AWS or Kubernetes did not do all of what was asked: what is left is done by asking again."""


class NotSeen(Permanent):
    """AWS or Kubernetes did not show what a command needs: theirs to grant, not a wrong use."""


def code_for(error: KeylessError) -> int:
    """``OTHER_SIDE`` for what a server said, for what may pass by itself and for bugs; ``WRONG_USE`` for the rest."""
    remote = any(kind.__module__.startswith(REMOTE) for kind in type(error).__mro__)
    return OTHER_SIDE if remote or isinstance(error, Transient | Bug | NotSeen | Stopped) else WRONG_USE


def named(error: Exception, trace: str = "the log has its trace") -> KeylessError:
    """Any failure as one of ours: what the operating system says has its kind, the rest is a bug.

    A bug is told by its place, not by its words: nobody knows what an unforeseen failure quotes.
    """
    if isinstance(error, KeylessError):
        return error
    if isinstance(error, OSError):
        return os_failure(error)
    if type(error).__module__ == "sqlite3":
        # A state folder that cannot be written, is full or is no database: its owner can mend it.
        return Permanent(f"the local Space's database: {error}; see to the state folder and its rights")
    places = traceback.extract_tb(error.__traceback__)
    where = f" at {places[-1].name}, line {places[-1].lineno}" if places else ""
    return Bug(f"{type(error).__name__}{where}; {trace}")


def report(failure: Exception) -> int:
    """Say the failure in one line on stderr; returns the exit code."""
    error = named(failure)
    label = "keyless: this is a bug of ours, please report it: " if isinstance(error, Bug) else "keyless: "
    print(label + " ".join(str(error).split()), file=sys.stderr)
    return code_for(error)
