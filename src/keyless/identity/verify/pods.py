"""The links inside the cluster: the workload, its service account, and what the webhook gave its pods. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from keyless.api import Reason
from keyless.identity.verify import webhook
from keyless.identity.verify.model import (
    ANNOTATION,
    SKIP_CONTAINERS,
    SKIP_LABEL,
    Association,
    Facts,
    Fix,
    Link,
    Pod,
    State,
    Unread,
)
from keyless.identity.verify.proxies import agents_address, exempted, proxied
from keyless.identity.verify.role_fix import admitting, make_and_name_role, name_role
from keyless.identity.verify.speaking import is_current
from keyless.identity.verify.values import dropped, upgrade
from keyless.identity.verify.webhook import failed_open

_ROLE_ARN = re.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[\w\-/.@+=,]+", re.ASCII)
_MOST_NAMED = 5
_LETTERS = re.compile(r"[^a-z]")
# What a shell, a YAML file or a copy leaves around an ARN.
_AROUND = " \t\r\n\"'`,;"
_IRSA = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_POD_IDENTITY = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
_STATIC = ("AWS_ACCESS_KEY_ID",)


def workload_runs(facts: Facts) -> Link:
    """The Deployment is there and has a ready pod."""
    namespace, name = facts.namespace, facts.subject.deployment
    what = {"statefulset": "StatefulSet"}.get(facts.subject.kind, "Deployment")
    expected = f"{what} {name} in {namespace} with a ready pod"
    workload = facts.workload
    if not facts.enabled:
        return Link("workload", State.SKIPPED, expected, "the component is not enabled")
    if facts.paused:
        return Link("workload", State.HELD, f"{expected}, or the control plane is paused", facts.paused)
    if workload is None or not workload.deployed:
        found = f"no such {what}"
        advice = f"the operator makes it: kubectl describe controlplanes -A says what keeps it from {namespace}"
        return Link("workload", State.BROKEN, expected, found, Reason.WORKLOAD_MISSING, advice=advice)
    if any(pod.ready for pod in workload.pods):
        return Link("workload", State.HELD, expected, ", ".join(pod.name for pod in workload.pods if pod.ready))
    waiting = [f"{pod.name}: {pod.waiting or 'not ready'}" for pod in workload.pods]
    return Link(
        "workload",
        State.BROKEN,
        expected,
        "; ".join(waiting) or "no pods",
        Reason.WORKLOAD_NOT_READY,
        advice=f"what keeps a pod waiting stands in the events of kubectl describe pods -n {namespace}",
    )


def service_account_has_a_role(facts: Facts) -> Link:
    """An association, or the annotation, names a role."""
    namespace, account = facts.namespace, facts.subject.service_account
    place = f"service account {account} in {namespace}"
    expected = f"{place} has annotation {ANNOTATION}, or a Pod Identity association"
    if facts.association:
        found = f"association {facts.association.words}"
        also = f"annotation {ANNOTATION}: {facts.annotation} is there, too: the association wins for new pods"
        return Link("service account", State.HELD, expected, found, notes=(also,) if facts.annotation else ())
    if facts.annotation:
        return _annotation(facts, expected)
    if not facts.enabled:
        return Link("service account", State.SKIPPED, expected, "the component is not enabled")
    if facts.workload is None or facts.workload.annotations is None:
        advice = f"the operator makes it: kubectl describe controlplanes -A says what keeps it from {namespace}"
        reason = Reason.SERVICE_ACCOUNT_MISSING
        return Link("service account", State.BROKEN, expected, f"no {place}", reason, advice=advice)
    return _no_role(facts, facts.workload.annotations, expected)


def _annotation(facts: Facts, expected: str) -> Link:
    wanted = facts.space.values.get(f"{facts.subject.annotations}.{ANNOTATION.replace('.', chr(92) + '.')}", "")
    if wanted and wanted != facts.annotation and _ROLE_ARN.fullmatch(facts.annotation):
        found = f"{ANNOTATION}: {facts.annotation}, but the values say {wanted}"
        name = f"kubectl annotate serviceaccount {facts.subject.service_account} -n {facts.namespace} --overwrite"
        fix = f"{name} {ANNOTATION}={wanted}"
        return Link("service account", State.BROKEN, expected, found, Reason.ROLE_DIFFERS, fix)
    if _ROLE_ARN.fullmatch(facts.annotation):
        return Link("service account", State.HELD, expected, f"{ANNOTATION}: {facts.annotation}")
    found = f"{ANNOTATION}: {facts.annotation!r}, which is no role's ARN"
    link = Link("service account", State.BROKEN, expected, found, Reason.ROLE_ARN_MALFORMED)
    return link.fixed_by(*_some_role(facts, wanted if _ROLE_ARN.fullmatch(wanted) else facts.annotation))


def is_role_arn(text: str) -> bool:
    """Whether it is the whole ARN of a role."""
    return _ROLE_ARN.fullmatch(text) is not None


def _some_role(facts: Facts, hint: str = "") -> tuple[Fix | None, str]:
    """The role that was meant: of the name that stands there, or the only one that admits the component."""
    if _ROLE_ARN.fullmatch(hint):
        return name_role(facts, hint), ""
    if meant := meant_role(facts, hint):
        return meant, ""
    fits = admitting(facts)
    if len(fits) == 1:
        return name_role(facts, fits[0]), ""
    if fits:
        more = f" and {len(fits) - _MOST_NAMED} more" if len(fits) > _MOST_NAMED else ""
        return None, f"annotate it with one of the roles that admit it: {', '.join(fits[:_MOST_NAMED])}{more}"
    return make_and_name_role(facts), "make a role that admits it, and annotate it with the role's ARN"


def meant_role(facts: Facts, hint: str) -> Fix | None:
    """The role of the name that stands in what is no ARN, where one alone has it."""
    named = () if isinstance(facts.roles, Unread) else tuple(arn for arn in facts.roles if _is_meant(arn, hint))
    return name_role(facts, named[0]) if len(named) == 1 else None


def _is_meant(arn: str, hint: str) -> bool:
    name = re.split(r"[/:]", hint.strip(_AROUND))[-1]
    return bool(name) and arn.rpartition("/")[2] == name


def _no_role(facts: Facts, annotations: Mapping[str, str], expected: str) -> Link:
    """Neither way leads to a role: name the near miss, if there is one."""
    misspelt = misspelt_annotation(annotations)
    if misspelt:
        key, value = misspelt
        found = f"annotation {key}, which nothing reads; the name is {ANNOTATION}"
        link = Link("service account", State.BROKEN, expected, found, Reason.ANNOTATION_MISSPELT)
        return link.fixed_by(*_some_role(facts, value))
    associations = () if isinstance(facts.associations, Unread) else facts.associations
    elsewhere = [a for a in associations if a.service_account == facts.subject.service_account]
    if elsewhere:
        return _association_elsewhere(facts, elsewhere, expected)
    if facts.misspelt:
        return association_misspelt(facts, facts.misspelt[0], expected)
    lost = dropped(facts.space, (facts.subject.annotations,))
    if lost:
        found = f"no annotation: revision {lost.revision} dropped what revision {lost.before} had set"
        role = next((value for path, value in lost.values.items() if path.endswith("/role-arn")), "")
        fix = name_role(facts, role).command if _ROLE_ARN.fullmatch(role) else upgrade(facts.space, lost.values)
        return Link("service account", State.BROKEN, expected, found, Reason.HELM_VALUES_DROPPED, fix)
    if isinstance(facts.associations, Unread):
        return Link("service account", State.UNKNOWN, expected, f"no annotation; associations {facts.associations.why}")
    link = Link("service account", State.BROKEN, expected, "no annotation and no association", Reason.ROLE_NOT_NAMED)
    return link.fixed_by(*_some_role(facts))


def misspelt_annotation(annotations: Mapping[str, str]) -> tuple[str, str] | None:
    """An annotation that was to be the role's, by its name or by its value; ``None`` where the right one is there."""
    if ANNOTATION in annotations:
        return None
    return next(
        (
            (key, value)
            for key, value in annotations.items()
            if _LETTERS.sub("", key.lower()).endswith("rolearn") or _ROLE_ARN.fullmatch(value.strip())
        ),
        None,
    )


def _association_elsewhere(facts: Facts, elsewhere: list[Association], expected: str) -> Link:
    """The same service account in another namespace is the usual slip. Whoever makes associations dropped the
    annotation on purpose, so this is told before a dropped annotation is."""
    role = next((a.role_arn for a in elsewhere if a.role_arn), "")
    create = f"{_create_association(facts, role)} && {facts.restart}" if role else ""
    wrong = [a for a in elsewhere if a.namespace not in facts.space.host_namespaces]
    if wrong:
        found = f"association {wrong[0].association_id} is for namespace {wrong[0].namespace}, no control plane's"
    else:
        places = ", ".join(sorted(a.namespace for a in elsewhere))
        found = f"no annotation; associations only for other control planes: {places}"
    return Link("service account", State.BROKEN, expected, found, Reason.ASSOCIATION_ELSEWHERE, create)


def association_misspelt(facts: Facts, near: Association, expected: str) -> Link:
    """It stays: whose it is nobody can tell from here, and it gives no identity to a name that nothing runs as."""
    found = f"association {near.association_id} is for service account {near.service_account}, not for "
    found += f"{facts.subject.service_account}"
    link = Link("service account", State.BROKEN, expected, found, Reason.ASSOCIATION_ELSEWHERE)
    command = _create_association(facts, near.role_arn)
    command += f" && {facts.restart}" if facts.subject.condition else ""
    says = f"associates {facts.subject.service_account} with the same role; {near.association_id} stays"
    return link.fixed_by(Fix(command, says), "")


def _create_association(facts: Facts, role_arn: str) -> str:
    return (
        f"aws eks create-pod-identity-association --cluster-name {facts.eks_name} "
        f"--namespace {facts.namespace} --service-account {facts.subject.service_account} "
        f"--role-arn {role_arn}"
    )


def pods_are_injected(facts: Facts) -> Link | None:
    """Every pod carries the variables of the way that is in force; a changed annotation restarts nothing by itself."""
    if facts.paused and not facts.pods:
        return None  # those of its resumption are made with the identity that is in force then
    names = _POD_IDENTITY if facts.by_association else _IRSA
    way = "Pod Identity" if facts.by_association else f"AWS_ROLE_ARN={facts.role_arn}"
    expected = f"pods carry {' and '.join(names)} ({way})"
    pods = facts.pods
    if not facts.role_arn or not pods:
        return Link("injection", State.SKIPPED, expected, "no role or no pod to look at")
    faults = [f"{pod.name} {fault}" for pod in pods if (fault := identity_fault(pod, facts))]
    if not faults:
        return _behind_proxy(facts, expected) or Link(
            "injection", State.HELD, expected, ", ".join(pod.name for pod in pods)
        )
    if any(name in pod.env for pod in pods for name in _STATIC):
        found = f"{'; '.join(faults)}; a restart does not remove it"
        link = Link("injection", State.BROKEN, expected, found, Reason.STATIC_KEYS_IN_POD)
        return link.fixed_by(_without_keys(facts), "the Secret of the static keys puts it there: see that link")
    if any(pod.skipped for pod in pods):
        found = f"{'; '.join(faults)}: the pod asks to be skipped (annotation skip-containers, or the skip label)"
        return Link("injection", State.BROKEN, expected, found, Reason.IDENTITY_NOT_INJECTED, _not_skipped(facts))
    if opened := next((why for pod in pods if _lacking(pod, facts) and (why := failed_open(facts, pod.created))), ""):
        found, reason = f"{'; '.join(faults)}: {opened}", Reason.IDENTITY_NOT_INJECTED
        advice = "makes new pods; if they lack it, too, the webhook's own pods and its log say why it does not answer"
        return Link("injection", State.BROKEN, expected, found, reason, facts.restart, advice=advice)
    late = ", or was made in the seconds before EKS showed the association to new pods" if facts.by_association else ""
    found = f"{'; '.join(faults)}: a pod gets its identity when it is created, so it is older than its role{late}"
    return Link("injection", State.BROKEN, expected, found, Reason.POD_NOT_RESTARTED, facts.restart)


def webhook_gives_identity(facts: Facts) -> Link | None:
    """Whether the next pod would be given its identity; told where something speaks against it."""
    return webhook.webhook_gives_identity(facts, any(_lacking(pod, facts) for pod in facts.pods))


def _behind_proxy(facts: Facts, expected: str) -> Link | None:
    """Where the component itself shows that it reaches the agent, its SDK asks without the proxy: others may not."""
    through = next(((pod, name) for pod in facts.pods if facts.by_association and (name := proxied(pod.env))), None)
    if through is None:
        return None
    pod, name = through
    address = agents_address(pod.env)
    found = f"{pod.name} has {name}, and NO_PROXY does not name {address}: an SDK may ask the proxy for credentials"
    seen = facts.control_plane.conditions.get(facts.subject.condition) if facts.control_plane else None
    if seen is not None and seen.status == "True" and is_current(seen, facts.pods):
        return Link("injection", State.HELD, expected, pod.name, notes=(found,))
    values = exempted(pod.env)
    command = f"kubectl set env {facts.subject.kind}/{facts.subject.deployment} -n {facts.namespace}"
    fix = f"{command} {shlex.quote(f'NO_PROXY={values}')} {shlex.quote(f'no_proxy={values}')}"
    return Link("injection", State.BROKEN, expected, found, Reason.AGENT_BEHIND_PROXY, fix)


def _lacking(pod: Pod, facts: Facts) -> list[str]:
    """The variables of the way in force that a pod lacks."""
    return [name for name in (_POD_IDENTITY if facts.by_association else _IRSA) if name not in pod.env]


def _without_keys(facts: Facts) -> Fix | None:
    """Take the keys out of the Deployment, unless a Helm value puts them there again."""
    subject = facts.subject
    if subject.static_keys and facts.space.values.get(subject.static_keys):
        return None
    names = "AWS_ACCESS_KEY_ID- AWS_SECRET_ACCESS_KEY- AWS_SESSION_TOKEN-"
    command = f"kubectl set env {subject.kind}/{subject.deployment} -n {facts.namespace} {names}"
    return Fix(command, "takes the keys out of the Deployment, which makes new pods")


def _not_skipped(facts: Facts) -> str:
    metadata = {"labels": {SKIP_LABEL: None}, "annotations": {SKIP_CONTAINERS: None}}
    patch = json.dumps({"spec": {"template": {"metadata": metadata}}}, separators=(",", ":"))
    return (
        f"kubectl patch {facts.subject.kind} {facts.subject.deployment} -n {facts.namespace} --type merge -p '{patch}'"
    )


def identity_fault(pod: Pod, facts: Facts) -> str:
    """What is wrong with a pod's variables."""
    static = [name for name in _STATIC if name in pod.env]
    if static:
        return f"carries {static[0]}, which wins over every workload identity"
    if missing := _lacking(pod, facts):
        return f"lacks {' and '.join(missing)}"
    if facts.by_association and _IRSA[0] in pod.env:
        return f"still carries {_IRSA[0]}, which wins over Pod Identity"
    if not facts.by_association and pod.env[_IRSA[0]] != facts.role_arn:
        return f"carries AWS_ROLE_ARN={pod.env[_IRSA[0]]}"
    return ""
