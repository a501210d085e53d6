"""A plan as its user reads it, and as programs do. Pure."""

from __future__ import annotations

from collections import Counter

from keyless.identity.grants.model import Plan

_LINES_SHOWN = 40


def render_text(plan: Plan) -> str:
    """Warnings, steps with what each changes, and how many subjects each role admits."""
    lines = [f"! {warning}" for warning in plan.warnings]
    for number, step in enumerate(plan.steps, start=1):
        lines.append(f"{number:>3}. {step.says}")
        lines += [f"       {line}" for line in step.lines[:_LINES_SHOWN]]
        if len(step.lines) > _LINES_SHOWN:
            lines.append(f"       … {len(step.lines) - _LINES_SHOWN} lines more: --output json has all")
    for role, count in sorted(Counter(plan.places.values()).items()):
        lines.append(f"role {role}: {count} subject{'s' if count != 1 else ''}")
    steps = len(plan.steps)
    lines.append(f"{steps} step{'s' if steps != 1 else ''}" if steps else "Nothing to do.")
    return "\n".join(lines)


def render_json(plan: Plan) -> dict[str, object]:
    """The whole plan; ``operator`` is the policy that whoever applies it needs."""
    return {
        "warnings": list(plan.warnings),
        "steps": [
            {"action": step.action, "params": dict(step.params), "says": step.says, "diff": list(step.lines)}
            for step in plan.steps
        ],
        "places": dict(plan.places),
        "operatorPolicy": plan.operator,
    }
