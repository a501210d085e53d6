"""What is left, as its user reads it, and as programs do. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from keyless.identity.tighten.model import Span, Tightened
from keyless.identity.tighten.trails import is_call_lost
from keyless.policy.amend import compact


def render_text(role: str, span: Span, used: int, found: Mapping[str, Tightened]) -> str:
    """How long was watched, then each policy: a diff, what was never used, what was left as it is."""
    lines = [f"role {role}: {used} of {span.calls} recorded calls are its own"]
    lines.append(f"watched from {span.first} to {span.last}" if span.calls else "nothing is recorded")
    lines += [f"skipped {number:,} × {what}" for what, number in span.skipped]
    if lost := sum(number for what, number in span.skipped if is_call_lost(what)):
        lines.append(f"! {lost:,} of what was skipped may be calls of this role: what they used is taken for unused")
    if not span.objects:
        lines.append("! no call on objects of S3 is in it: a trail stores those (data events) only where it is told to")
    if not used:
        lines.append("! the record has no call of this role: there is nothing to judge by")
        return "\n".join(lines)
    for name, one in found.items():
        lines.append(f"policy {name}:{'' if one.lines else ' nothing to take away'}")
        lines += [f"       {line}" for line in one.lines]
        lines += [f"  never used  {words}" for words in one.unused]
        lines += [f"  left as is  {words}" for words in one.kept]
    lines.append("What is done once a year is not in a shorter record: look at the time before the diff.")
    return "\n".join(lines)


def render_json(role: str, span: Span, used: int, found: Mapping[str, Tightened]) -> dict[str, object]:
    """All of it; ``document`` is the text of the policy to put."""
    return {
        "role": role,
        "watched": {
            "first": span.first,
            "last": span.last,
            "calls": span.calls,
            "ofThisRole": used,
            "objects": span.objects,
            "skipped": [{"what": what, "count": number} for what, number in span.skipped],
        },
        "policies": [
            {
                "name": name,
                "document": compact(one.document),
                "diff": list(one.lines),
                "neverUsed": list(one.unused),
                "leftAsIs": list(one.kept),
            }
            for name, one in found.items()
        ],
    }
