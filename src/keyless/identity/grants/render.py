"""A plan as its user reads it, and as programs do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from keyless.api.words import counted
from keyless.identity.grants.model import Plan, Step
from keyless.policy.amend import Written, statements

_LINES_SHOWN = 40


def render_text(plan: Plan, *, long: bool = False) -> str:
    """Warnings, then what each role is to be: a line a thing, or, ``long``, each step with what it changes."""
    lines = [f"! {warning}" for warning in plan.warnings]
    lines += _steps(plan) if long else _things(plan)
    steps = len(plan.steps)
    more = "" if long else "; --long shows each with the documents"
    lines.append(f"{counted(steps, 'step')}{more}" if steps else "Nothing to do in AWS.")
    if plan.then:
        lines += ["then, in Kubernetes:", *(f"  {command}" for command in plan.then)]
    return "\n".join(lines)


def _steps(plan: Plan) -> Iterator[str]:
    for number, step in enumerate(plan.steps, start=1):
        yield f"{number:>3}. {step.says}"
        yield from (f"       {line}" for line in step.lines[:_LINES_SHOWN])
        if len(step.lines) > _LINES_SHOWN:
            yield f"       … {counted(len(step.lines) - _LINES_SHOWN, 'line')} more: --output json has all"
    for role, count in sorted(Counter(plan.places.values()).items()):
        yield f"role {role}: {counted(count, 'subject')}"


def _things(plan: Plan) -> Iterator[str]:
    """A hundred control planes are a few roles: what is done to each stands on one line, what all may do on one."""
    done: dict[str, Counter[str]] = {}
    for step in plan.steps:
        done.setdefault(step.what, Counter())[step.does] += 1
    admitted = Counter(f"role {role}" for role in plan.places.values())
    for what in [*done, *sorted(set(admitted) - set(done))]:
        doing = [f"{does} {count}" if count > 1 else does for does, count in done.get(what, Counter()).items()]
        parts = [", ".join(doing)] if doing else []
        parts += [f"admits {counted(admitted[what], 'subject')}"] if what in admitted else []
        yield f"{what}: {'; '.join(parts)}"
    yield from dict.fromkeys(line for step in plan.steps for line in _permits(step))


def _permits(step: Step) -> Iterator[str]:
    if step.operation != "PutRolePolicy":
        return
    yield f"policy {step.params['PolicyName']} allows"
    for one in statements(step.written):
        yield f"  {', '.join(_listed(one, 'Action'))} on {', '.join(_listed(one, 'Resource'))}"


def _listed(statement: Written, key: str) -> list[str]:
    found = statement.get(key, [])
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]


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
        "then": list(plan.then),
    }
