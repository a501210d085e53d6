"""``docs/reference/operator-rights.md``: the operator's ClusterRole, each rule with the reason that stands above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).parents[2] / "spaces-helm-chart/templates/access.yaml"
_RULE = re.compile(r"((?:^  #[^\n]*\n)*)(^  - apiGroups:.*\n(?:^    .*\n)*)", re.MULTILINE)

_HEAD = """# What the operator may do in the host cluster

Written by `make reference` from the chart's `templates/access.yaml`: the comment above a rule is its reason.

RBAC knows no pattern for names and namespaces, so the ClusterRole leaves more open than the operator needs. From
Kubernetes 1.30 on, the chart's ValidatingAdmissionPolicy `spaces-operator` (value `operator.admissionPolicy`) closes
the rest of what it writes: service accounts, tokens, Deployments, volumes and pods in host namespaces alone (label
`keyless.dev/control-plane-id`), Secrets, Roles and RoleBindings also in groups, RoleBindings to Roles alone, no pod but
`restore` as service account `backup` (others as a dry run alone), no ClusterRole but `spaces-vector-*`, which may read
control planes, and no namespace of the cluster, of the release, or of a group. `make production` tries each of these as
the operator, kube-system among them.

What is left: it may read a Secret whose name it knows in any namespace (admission sees no reads; it may not list them),
and the metadata of namespaces. Host namespaces are made as control planes come, so a chart cannot name them in Roles.
Whoever makes them first, and lets each control plane name its own (`spec.hostNamespace.name`), lists them with the
groups in `operator.secretNamespaces`, and the right to Secrets shrinks to these. Where the policy is not installed, all
that the table says.

| API group | resources | verbs | why |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the ClusterRole as it stands in the template."""

    reason: str
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...]


def rules() -> Iterator[Rule]:
    """All of them, in order; a reason is empty where none stands above the rule."""
    text = TEMPLATE.read_text(encoding="utf-8")
    (role,) = [part for part in text.split("\n---\n") if "\nkind: ClusterRole\n" in f"\n{part}"]
    for comment, rule in _RULE.findall(role + "\n"):
        (parsed,) = yaml.safe_load(rule)
        reason = " ".join(line.strip().removeprefix("#").strip() for line in comment.splitlines())
        names = tuple(parsed.get("resourceNames") or ())
        yield Rule(reason, *(tuple(parsed[key]) for key in ("apiGroups", "resources", "verbs")), names)


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"{_row(rule)}\n" for rule in rules())


def _row(rule: Rule) -> str:
    groups = ", ".join(group or "core" for group in rule.groups)
    names = f" (named {', '.join(rule.names)})" if rule.names else ""
    return f"| {groups} | {', '.join(rule.resources)}{names} | {', '.join(rule.verbs)} | {rule.reason} |"
