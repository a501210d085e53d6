"""A plan as its user reads it, and as programs do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from keyless.api.numbers import is_digits
from keyless.api.words import counted
from keyless.identity.grants.model import Plan, Step
from keyless.policy.amend import Written, statements

_LINES_SHOWN, _ALIKE_TOGETHER = 40, 3


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
    things = [_Thing(what, _doing(found), admitted.get(what)) for what, found in done.items()]
    things += [_Thing(what, "", admitted[what]) for what in sorted(set(admitted) - set(done), key=_numbered)]
    for _, run in groupby(things, key=_alike):
        yield from _lines(list(run))
    yield from dict.fromkeys(line for step in plan.steps for line in _permits(step))


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something in AWS, what is done to it (empty: nothing), and how many subjects it admits, where it is a role."""

    what: str
    doing: str
    admits: int | None


def _doing(done: Counter[str]) -> str:
    return ", ".join(f"{does} {count}" if count > 1 else does for does, count in done.items())


def _numbered(what: str) -> tuple[str, int]:
    """A role's name without its number, and the number: the second of a name is ``NAME-2``."""
    name, dash, number = what.rpartition("-")
    return (name, int(number)) if dash and is_digits(number) else (what, 1)


def _alike(thing: _Thing) -> tuple[str, str, int | None]:
    """Roles of one name of which the same is told; of those that nothing is done to only their sum is."""
    return _numbered(thing.what)[0], thing.doing, thing.admits if thing.doing else None


def _lines(run: list[_Thing]) -> Iterator[str]:
    if len(run) < _ALIKE_TOGETHER or run[0].admits is None:
        for one in run:
            admits = [] if one.admits is None else [f"admits {counted(one.admits, 'subject')}"]
            yield f"{one.what}: {'; '.join([*filter(None, [one.doing]), *admits])}"
        return
    roles = f"roles {run[0].what.partition(' ')[2]} … {run[-1].what.partition(' ')[2]} ({len(run)})"
    if run[0].doing:
        yield f"{roles}: {run[0].doing}; each admits {counted(run[0].admits, 'subject')}"
    else:
        yield f"{roles}: as they are; admit {counted(sum(one.admits or 0 for one in run), 'subject')} together"


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
