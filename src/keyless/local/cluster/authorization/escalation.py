"""Nobody hands out rights that they do not hold: checks on writes of roles and bindings.

Spec: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Sequence

from keyless.local.cluster.authorization.attributes import Asked
from keyless.local.cluster.authorization.authorizer import RBAC, Authorizer
from keyless.local.cluster.authorization.rules import Rule, describe, uncovered
from keyless.local.cluster.objects import Object, Target
from keyless.local.cluster.status import forbidden, invalid, not_found
from keyless.local.cluster.users import User


def check_role(authorizer: Authorizer, user: User, target: Target, role: Object) -> None:
    """A role may be written by who holds all of its rules, or may ``escalate``."""
    asked = Asked("escalate", RBAC, target.served.plural, "", target.namespace, target.name)
    if authorizer.decide(target.cluster, user, asked).allowed:
        return
    rules = list(role.get("rules") or ())
    if role.get("aggregationRule"):
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    _check_covered(authorizer, user, target, rules)


def check_binding(authorizer: Authorizer, user: User, target: Target, binding: Object) -> None:
    """A binding may be written by who holds all rules of its role, or may ``bind`` it."""
    ref = binding["roleRef"]
    plural = "clusterroles" if ref["kind"] == "ClusterRole" else "roles"
    asked = Asked("bind", RBAC, plural, "", target.namespace, ref["name"])
    if authorizer.decide(target.cluster, user, asked).allowed:
        return
    rules = authorizer.role_rules(target.cluster, target.namespace, ref)
    if rules is None:
        raise not_found(RBAC, plural, ref["name"])
    _check_covered(authorizer, user, target, rules)


def check_binding_change(target: Target, new: Object, old: Object) -> None:
    """The role of a binding never changes."""
    if new["roleRef"] != old["roleRef"]:
        cause = {"reason": "FieldValueInvalid", "message": "Invalid value: cannot change roleRef", "field": "roleRef"}
        raise invalid(RBAC, target.served.kind, target.name, [cause])


def _check_covered(authorizer: Authorizer, user: User, target: Target, rules: Sequence[Rule]) -> None:
    held = authorizer.rules(target.cluster, user, target.namespace)
    missing = uncovered(held, rules)
    if missing:
        text = (
            f'user "{user.name}" (groups={list(user.groups)}) is attempting to grant RBAC permissions not currently'
            " held:\n" + "\n".join(describe(rule) for rule in missing)
        ).replace("'", '"')
        raise forbidden(RBAC, target.served.plural, target.name, text)
