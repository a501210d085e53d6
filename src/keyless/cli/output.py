"""What commands print: one JSON form for programs, and lines that fit the terminal of a person.

The form is Kubernetes' own: ``apiVersion`` and ``kind`` first, keys in camelCase, many things as ``items`` of a
``…List``. A stream (``keyless audit``) is one such object a line.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from keyless.cli.folding import CUT, folded

API_VERSION = "cli.keyless.dev/v1"

# Every command with JSON and the kind it prints; a test holds this against the command line itself.
KINDS = {
    "status": "SpaceStatus",
    "kubeconfig": "KubeconfigContext",
    "verify billing": "VerificationList",
    "verify billing-export": "VerificationList",
    "verify shared-secrets": "VerificationList",
    "verify backup": "VerificationList",
    "verify encryption": "VerificationList",
    "explain": "Explanation",
    "identity plan": "IdentityPlan",
    "identity tighten": "TightenedRole",
    "identity access": "Access",
    "audit": "Call",
    "faults list": "FaultList",
    "billing verify": "UsageVerification",
    "billing report": "UsageReport",
    "billing capacity": "CapacityUsage",
    "issuer publish": "IssuerPublication",
    "keys list": "SigningKeyList",
    "secrets status": "SecretStatusList",
    "secrets explain": "SecretsExplanationList",
}
_MARK = re.compile(r"^( *)(ok|FAILED|unknown|skipped|Allowed|Denied|Unknown|Conditional)(?![A-Za-z])")
_COLOURS = {"ok": 32, "Allowed": 32, "FAILED": 31, "Denied": 31}
_UNSURE = 33
_HOW_LONG = f"(lines that end in {CUT} are cut: --long shows them whole)"


def one(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """An object in the form: what it is, then what it says."""
    return {"apiVersion": API_VERSION, "kind": kind, **content}


def many(kind: str, items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A list in the form; ``kind`` is that of an item."""
    return one(f"{kind}List", {"items": list(items)})


def print_json(content: Mapping[str, Any]) -> None:
    """Print an object for programs, indented for the person who looks over their shoulder."""
    print(json.dumps(content, indent=2))


def print_text(
    text: str, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ, *, long: bool | None = None
) -> None:
    """Print lines: folded and coloured on a terminal, as they are in a pipe or a file.

    ``long``: what ``--long`` says, ``None`` where a command has none. In the long form no line is folded or cut, in the
    short one lines of documents are cut.
    """
    stream = stream or sys.stdout
    if stream.isatty():
        shown = text if long else folded(text, shutil.get_terminal_size().columns, cut=long is False)
        if CUT in shown and CUT not in text:
            shown += f"\n{_HOW_LONG}"
        text = coloured(shown) if wants_colour(environ) else shown
    print(text, file=stream)


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Whether a terminal with this environment is to be coloured (no-color.org, bixense.com/clicolors)."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def coloured(text: str) -> str:
    """``text`` with the word that judges a line in its colour: green holds, red does not, yellow is not known."""
    return "\n".join(
        _MARK.sub(lambda found: f"{found[1]}\x1b[{_COLOURS.get(found[2], _UNSURE)}m{found[2]}\x1b[0m", line)
        for line in text.split("\n")
    )
