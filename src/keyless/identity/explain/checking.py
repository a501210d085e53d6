"""The same question to AWS's own simulator: whether its engine says of the role's policies what ours does.

SimulatePrincipalPolicy looks at the role's policies and boundary alone, with the context that it is told; the
resource's own policy, the key behind it and what the session brings are not its matter. So it is compared with our
decision on the same documents, and not with the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.aws import AWS_FAILURES, Session
from keyless.identity.explain.model import Evidence
from keyless.identity.verify.aws_facts import why
from keyless.identity.verify.deciding import principal_of, session_keys
from keyless.identity.verify.model import Role
from keyless.policy import ContextValue, Outcome, Policies, Request, evaluate

_WORDS = {Outcome.ALLOWED: "allowed", Outcome.EXPLICIT_DENY: "explicitDeny", Outcome.IMPLICIT_DENY: "implicitDeny"}
# The simulator derives them from the ARN that it simulates, and refuses to be told them.
_ITS_OWN = ("aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username")


@dataclass(frozen=True, slots=True)
class Checked:
    """``theirs`` and ``ours`` are the simulator's words; ``unasked`` says why there is nothing to compare."""

    theirs: str = ""
    ours: str = ""
    missing: tuple[str, ...] = ()
    unasked: str = ""

    @property
    def differs(self) -> bool:
        """Whether both decided, and otherwise."""
        return not self.unasked and self.theirs != self.ours


async def check(aws: Session, evidence: Evidence) -> Checked:
    """Ask; raises nothing that AWS can answer."""
    question, role = evidence.question, evidence.chain.role
    if not isinstance(role, Role):
        return Checked(unasked="there is no role to ask about")
    told: dict[str, ContextValue] = {**session_keys(evidence.chain, role, question.resource), **question.context}
    try:
        answer = await aws.call(
            "iam",
            "SimulatePrincipalPolicy",
            PolicySourceArn=role.arn,
            ActionNames=[question.action],
            ResourceArns=[question.resource],
            ContextEntries=[_entry(key, value) for key, value in told.items() if key.lower() not in _ITS_OWN],
        )
    except AWS_FAILURES as error:
        return Checked(unasked=why("iam", error))
    results = answer.get("EvaluationResults") or ()
    if not results:
        return Checked(unasked="the simulator answered without a result")
    decision = evaluate(
        Request(question.action, question.resource, principal_of(role), told),
        Policies(identity=role.identity, boundary=role.boundary),
    )
    if decision.outcome not in _WORDS:
        return Checked(unasked=f"we could not read all of the role's policies: {'; '.join(decision.unread)}")
    missing = tuple(sorted(results[0].get("MissingContextValues") or ()))
    return Checked(str(results[0].get("EvalDecision", "")), _WORDS[decision.outcome], missing)


def _entry(key: str, value: ContextValue) -> dict[str, Any]:
    many = not isinstance(value, str)
    values = [value] if isinstance(value, str) else list(value)
    return {"ContextKeyName": key, "ContextKeyType": "stringList" if many else "string", "ContextKeyValues": values}


def lines(checked: Checked) -> list[str]:
    """For a person."""
    if checked.unasked:
        return [f"  simulator not compared: {checked.unasked}"]
    if checked.differs:
        return [
            f"  simulator DIFFERS: by the role's policies alone AWS says {checked.theirs}, and we say {checked.ours}: "
            "this is a bug of ours, or a key that only one of us was told"
        ]
    missing = f"; it was not told {', '.join(checked.missing)}" if checked.missing else ""
    return [f"  simulator agrees: by the role's policies alone {checked.theirs}{missing}"]


def document(checked: Checked) -> dict[str, object]:
    """For programs."""
    return {
        "agrees": None if checked.unasked else not checked.differs,
        "simulator": checked.theirs or None,
        "keyless": checked.ours or None,
        "missingContext": list(checked.missing),
        "notCompared": checked.unasked or None,
    }
