"""``docs/reference/exit-codes.md``: the table of outcomes, and what whoever verifies must be let read."""

from __future__ import annotations

import json

from keyless.cli.outcomes import OUTCOMES
from keyless.identity.verify.access_link import READS

_HEAD = """# Exit codes

Written by `make reference` from the table that the tests hold each command to.

0: it held. 1: it certainly did not (a link of the chain is broken, a report is incomplete). 2: wrong use, which the
caller can mend. 3: the other side failed, or did not show what the answer hangs on (AWS, Kubernetes).

Something that is certainly broken is told by 1, whatever could not be seen beside it: 3 never hides a fault.

| command | outcome | code |
|---|---|---|
"""
_READER = """
## What verify and explain read in AWS

Reads alone, and of no value of a secret. A caller that may not read something gets "unknown" with the action that it
lacks, and the command that grants all of these:

"""


def exit_codes() -> str:
    """The whole page."""
    rows = "\n".join(f"| {_name(one.command)} | {one.outcome} | {one.code} |" for one in OUTCOMES)
    statement = {"Effect": "Allow", "Action": list(READS), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)
    return f"{_HEAD}{rows}\n{_READER}```json\n{policy}\n```\n"


def _name(command: str) -> str:
    return command if command == "any" else f"`keyless {command}`"
