"""The links inside the cluster: the workload, its service account, and what the webhook gave its pods. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyless.api import Reason
from keyless.identity.verify.model import ANNOTATION, Association, Facts, Link, Pod, State, Unread
from keyless.identity.verify.values import dropped, upgrade

_ROLE_ARN = re.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[\w\-/.@+=,]+", re.ASCII)
_IRSA = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_POD_IDENTITY = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
_STATIC = ("AWS_ACCESS_KEY_ID",)


def workload_runs(facts: Facts) -> Link:
    """The Deployment is there and has a ready pod."""
    namespace, name = facts.namespace, facts.subject.deployment
    expected = f"Deployment {name} in {namespace} with a ready pod"
    workload = facts.workload
    if not facts.enabled:
        return Link("workload", State.SKIPPED, expected, "the component is not enabled")
    if workload is None or not workload.deployed:
        found, mend = "no such Deployment", f"kubectl get deployments -n {namespace}"
        return Link("workload", State.BROKEN, expected, found, Reason.WORKLOAD_MISSING, mend)
    if any(pod.ready for pod in workload.pods):
        return Link("workload", State.HELD, expected, ", ".join(pod.name for pod in workload.pods if pod.ready))
    waiting = [f"{pod.name}: {pod.waiting or 'not ready'}" for pod in workload.pods]
    return Link(
        "workload",
        State.BROKEN,
        expected,
        "; ".join(waiting) or "no pods",
        Reason.WORKLOAD_NOT_READY,
        f"kubectl describe pods -n {namespace}",
    )


def service_account_has_a_role(facts: Facts) -> Link:
    """An association, or the annotation, names a role."""
    namespace, account = facts.namespace, facts.subject.service_account
    place = f"service account {account} in {namespace}"
    expected = f"{place} has annotation {ANNOTATION}, or a Pod Identity association"
    if facts.association:
        found = f"association {facts.association.association_id}: {facts.association.role_arn}"
        return Link("service account", State.HELD, expected, found)
    if facts.annotation:
        return _annotation(facts, expected)
    if not facts.enabled:
        return Link("service account", State.SKIPPED, expected, "the component is not enabled")
    if facts.workload is None or facts.workload.annotations is None:
        mend = f"kubectl get serviceaccounts -n {namespace}"
        return Link("service account", State.BROKEN, expected, f"no {place}", Reason.SERVICE_ACCOUNT_MISSING, mend)
    return _no_role(facts, facts.workload.annotations, expected)


def _annotation(facts: Facts, expected: str) -> Link:
    wanted = facts.space.values.get(f"{facts.subject.annotations}.{ANNOTATION.replace('.', chr(92) + '.')}", "")
    if wanted and wanted != facts.annotation and _ROLE_ARN.fullmatch(facts.annotation):
        found = f"{ANNOTATION}: {facts.annotation}, but the values say {wanted}"
        name = f"kubectl annotate serviceaccount {facts.subject.service_account} -n {facts.namespace} --overwrite"
        mend = f"{name} {ANNOTATION}={wanted}"
        return Link("service account", State.BROKEN, expected, found, Reason.ROLE_DIFFERS, mend)
    if _ROLE_ARN.fullmatch(facts.annotation):
        return Link("service account", State.HELD, expected, f"{ANNOTATION}: {facts.annotation}")
    return Link(
        "service account",
        State.BROKEN,
        f"{ANNOTATION}: arn:aws:iam::ACCOUNT:role/NAME",
        f"{ANNOTATION}: {facts.annotation!r}, which is no role's ARN",
        Reason.ROLE_ARN_MALFORMED,
        _set_annotation(facts, "arn:aws:iam::ACCOUNT:role/NAME"),
    )


def _no_role(facts: Facts, annotations: Mapping[str, str], expected: str) -> Link:
    """Neither way leads to a role: name the near miss, if there is one."""
    misspelt = {key: value for key, value in annotations.items() if key.endswith("/role-arn")}
    if misspelt:
        key, value = next(iter(misspelt.items()))
        found = f"annotation {key}, which nothing reads; the name is {ANNOTATION}"
        mend = _set_annotation(facts, value)
        return Link("service account", State.BROKEN, expected, found, Reason.ANNOTATION_MISSPELT, mend)
    associations = () if isinstance(facts.associations, Unread) else facts.associations
    elsewhere = [a for a in associations if a.service_account == facts.subject.service_account]
    if elsewhere:
        return _association_elsewhere(facts, elsewhere, expected)
    lost = dropped(facts.space, (facts.subject.annotations,))
    if lost:
        found = f"no annotation: revision {lost.revision} dropped what revision {lost.before} had set"
        mend = upgrade(facts.space, lost.values)
        return Link("service account", State.BROKEN, expected, found, Reason.HELM_VALUES_DROPPED, mend)
    if isinstance(facts.associations, Unread):
        return Link("service account", State.UNKNOWN, expected, f"no annotation; associations {facts.associations.why}")
    mend = f"{_set_annotation(facts, 'ROLE_ARN')}   # or: {_create_association(facts, 'ROLE_ARN')}"
    found = "no annotation and no association"
    return Link("service account", State.BROKEN, expected, found, Reason.ROLE_NOT_NAMED, mend)


def _association_elsewhere(facts: Facts, elsewhere: list[Association], expected: str) -> Link:
    """The same service account in another namespace is the usual slip. Whoever makes associations dropped the
    annotation on purpose, so this is told before a dropped annotation is."""
    create = _create_association(facts, next((a.role_arn for a in elsewhere if a.role_arn), "ROLE_ARN"))
    wrong = [a for a in elsewhere if a.namespace not in facts.space.host_namespaces]
    if wrong:
        found = f"association {wrong[0].association_id} is for namespace {wrong[0].namespace}, no control plane's"
    else:
        places = ", ".join(sorted(a.namespace for a in elsewhere))
        found = f"no annotation; associations only for other control planes: {places}"
    return Link("service account", State.BROKEN, expected, found, Reason.ASSOCIATION_ELSEWHERE, create)


def _set_annotation(facts: Facts, role_arn: str) -> str:
    key = ANNOTATION.replace(".", "\\.")
    return upgrade(facts.space, {f"{facts.subject.annotations}.{key}": role_arn})


def _create_association(facts: Facts, role_arn: str) -> str:
    return (
        f"aws eks create-pod-identity-association --cluster-name {facts.eks_name} "
        f"--namespace {facts.namespace} --service-account {facts.subject.service_account} "
        f"--role-arn {role_arn}"
    )


def pods_are_injected(facts: Facts) -> Link:
    """Every pod carries the variables of the way that is in force; a changed annotation restarts nothing by itself."""
    names = _POD_IDENTITY if facts.by_association else _IRSA
    way = "Pod Identity" if facts.by_association else f"AWS_ROLE_ARN={facts.role_arn}"
    expected = f"pods carry {' and '.join(names)} ({way})"
    pods = facts.pods
    if not facts.role_arn or not pods:
        return Link("injection", State.SKIPPED, expected, "no role or no pod to look at")
    faults = [f"{pod.name} {fault}" for pod in pods if (fault := _fault(pod, facts))]
    if not faults:
        return Link("injection", State.HELD, expected, ", ".join(pod.name for pod in pods))
    if any(pod.skipped for pod in pods):
        found = f"{'; '.join(faults)}: the pod asks to be skipped (annotation skip-containers, or the skip label)"
        return Link("injection", State.BROKEN, expected, found, Reason.IDENTITY_NOT_INJECTED, facts.restart)
    found = f"{'; '.join(faults)}: a pod gets its identity when it is created, so it is older than its role"
    return Link("injection", State.BROKEN, expected, found, Reason.POD_NOT_RESTARTED, facts.restart)


def _fault(pod: Pod, facts: Facts) -> str:
    """What is wrong with a pod's variables."""
    static = [name for name in _STATIC if name in pod.env]
    if static:
        return f"carries {static[0]}, which wins over every workload identity"
    names = _POD_IDENTITY if facts.by_association else _IRSA
    missing = [name for name in names if name not in pod.env]
    if missing:
        return f"lacks {' and '.join(missing)}"
    if facts.by_association and _IRSA[0] in pod.env:
        return f"still carries {_IRSA[0]}, which wins over Pod Identity"
    if not facts.by_association and pod.env[_IRSA[0]] != facts.role_arn:
        return f"carries AWS_ROLE_ARN={pod.env[_IRSA[0]]}"
    return ""
