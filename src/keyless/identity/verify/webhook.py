"""The webhook's link: whether the next pod of the component would be given its identity. Pure.

Told only where something is wrong with it: where pods carry their identity, and nothing speaks against the next one
doing so, the injection's own link says enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from keyless.api import Reason
from keyless.identity.verify.around import Registration
from keyless.identity.verify.model import Facts, Link, State
from keyless.kube import selectors

# How a webhook learns of associations: upstream's flag, and ours.
_ASSOCIATIONS = ("--watch-container-credentials-config", "--container-credentials-config-map")
_PREFIX, _USUAL_PREFIX = "--annotation-prefix", "eks.amazonaws.com"


def webhook_gives_identity(facts: Facts, bare: bool) -> Link | None:
    """``bare``: a pod lacks its identity. ``None`` where nothing is wrong, or nothing was seen."""
    around = facts.around
    if not facts.role_arn or not around.seen:
        return None
    expected = f"a webhook gives new pods in {facts.namespace} their identity"
    if around.webhook is None:
        return _missing(expected) if bare else None
    return (
        _leaves_out(facts, around.webhook, expected)
        or _nobody_behind(around.webhook, expected)
        or _too_old(facts, around.webhook, expected)
    )


def failed_open(facts: Facts, created: str) -> str:
    """Why a pod without identity is no older than its role: the webhook let it through. Empty where that is not known.

    Times as the API server writes them, to the second: what came in the same second proves nothing.
    """
    hook, annotated = facts.around.webhook, facts.around.annotated
    if hook is None or not hook.fails_open or facts.by_association or not (created and annotated and hook.created):
        return ""
    if created <= annotated or created <= hook.created:
        return ""
    return (
        f"made after its service account had the role and {hook.configuration} was there: the webhook did not answer "
        "while it was made, and its failurePolicy Ignore let the pod through"
    )


def _missing(expected: str) -> Link:
    advice = (
        "EKS registers MutatingWebhookConfiguration pod-identity-webhook in every cluster; elsewhere "
        "helm upgrade --reuse-values --set webhook.enabled=true installs one. Pods that run are made anew after it"
    )
    return Link("webhook", State.BROKEN, expected, "no such webhook", Reason.WEBHOOK_MISSING, advice=advice)


def _leaves_out(facts: Facts, hook: Registration, expected: str) -> Link | None:
    selector = hook.namespace_selector
    if not selector or not facts.around.labels or selectors.matches(dict(selector), facts.around.labels):
        return None
    found = f"the namespaceSelector of {hook.configuration} leaves out {facts.namespace}: {json.dumps(selector)}"
    link = Link("webhook", State.BROKEN, expected, found, Reason.WEBHOOK_LEAVES_OUT)
    if wanted := _labels(selector):
        label = " ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
        command = f"kubectl label namespace {facts.namespace} --overwrite {label} && {facts.restart}"
    else:
        patch = json.dumps([{"op": "remove", "path": f"/webhooks/{hook.index}/namespaceSelector"}])
        configuration = f"mutatingwebhookconfiguration {hook.configuration}"
        command = f"kubectl patch {configuration} --type json -p '{patch}' && {facts.restart}"
    return Link(link.name, link.state, expected, found, link.reason, command)


def _labels(selector: Mapping[str, object]) -> dict[str, str]:
    """The labels that satisfy a selector of labels alone; empty where it has expressions, too."""
    wanted = selector.get("matchLabels")
    return dict(wanted) if isinstance(wanted, Mapping) and not selector.get("matchExpressions") else {}


def _nobody_behind(hook: Registration, expected: str) -> Link | None:
    if hook.ready is None or hook.ready > 0:
        return None
    policy = "Ignore lets pods through without identity" if hook.fails_open else "Fail keeps pods from being made"
    found = (
        f"{hook.configuration} leads to Service {hook.service}, and no ready pod is behind it: failurePolicy {policy}"
    )
    namespace = hook.service.partition("/")[0]
    advice = f"kubectl get pods,endpoints -n {namespace} shows what keeps it from running; then make the pods anew"
    return Link("webhook", State.BROKEN, expected, found, Reason.WEBHOOK_MISSING, advice=advice)


def _too_old(facts: Facts, hook: Registration, expected: str) -> Link | None:
    """What a webhook does not know it passes over without a word."""
    if hook.flags is None:
        return None
    given = dict(flag.partition("=")[::2] for flag in hook.flags)
    if facts.by_association and not any(given.get(name) for name in _ASSOCIATIONS):
        found = f"the webhook of {hook.configuration} has neither {' nor '.join(_ASSOCIATIONS)}"
        advice = "it is too old for associations, or was not told of them: update it, and give it one of these flags"
        found += ": it knows no Pod Identity association"
    elif not facts.by_association and given.get(_PREFIX, _USUAL_PREFIX) != _USUAL_PREFIX:
        found = f"the webhook of {hook.configuration} reads annotations of {given[_PREFIX]}, not of {_USUAL_PREFIX}"
        advice = f"start it with {_PREFIX}={_USUAL_PREFIX}"
    else:
        return None
    return Link("webhook", State.BROKEN, expected, found, Reason.WEBHOOK_TOO_OLD, advice=advice)
