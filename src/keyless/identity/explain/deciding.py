"""The two decisions of an answer: of the service about the action, of KMS about the key behind the resource. Pure."""

from __future__ import annotations

from keyless.identity.explain.model import Evidence
from keyless.identity.verify import deciding
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.model import Role
from keyless.policy import Decision


def decide(evidence: Evidence, role: Role) -> Decision:
    """What AWS would decide for a session of the role."""
    question = evidence.question
    return deciding.decide(
        evidence.chain, role, question.action, question.resource, evidence.resource_policy, question.context
    )


def decide_key(evidence: Evidence, role: Role) -> Decision | None:
    """What KMS would decide when the service asks it in the name of the role's session."""
    use = evidence.key
    return (
        deciding.decide_key(evidence.chain, role, use, evidence.question.context) if isinstance(use, KeyUse) else None
    )
