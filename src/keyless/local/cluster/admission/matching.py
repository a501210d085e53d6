"""Which webhooks a request concerns. Pure.

Spec: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.admission.attributes import Attributes
from keyless.local.cluster.selectors import LabelSelector

Webhook = Mapping[str, Any]
# Webhooks never judge the objects that configure them: a broken one could not be repaired.
_EXEMPT = {
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
}


def concerns(
    webhook: Webhook, attributes: Attributes, labels: tuple[Mapping[str, str], ...], namespace: Mapping[str, str] | None
) -> bool:
    """Whether a webhook is asked; ``labels`` are those of the old and the new object, ``namespace`` its labels."""
    if attributes.target.place in _EXEMPT:
        return False
    if not any(_rule_fits(rule, attributes) for rule in webhook.get("rules") or ()):
        return False
    chosen = LabelSelector.from_object(webhook.get("objectSelector") or {})
    if not any(chosen.matches(one) for one in labels):
        return False
    if namespace is None:
        return True
    return LabelSelector.from_object(webhook.get("namespaceSelector") or {}).matches(namespace)


def _rule_fits(rule: Mapping[str, Any], attributes: Attributes) -> bool:
    served = attributes.target.served
    scope = "Namespaced" if served.namespaced else "Cluster"
    return (
        _has(rule.get("operations"), attributes.operation)
        and _has(rule.get("apiGroups"), served.group)
        and _has(rule.get("apiVersions"), served.version)
        and rule.get("scope", "*") in {"*", scope}
        and any(_resource_fits(text, attributes) for text in rule.get("resources") or ())
    )


def _has(values: Any, wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def _resource_fits(text: str, attributes: Attributes) -> bool:
    resource, _, subresource = text.partition("/")
    if text == "*/*":
        return True
    fits = resource in {"*", attributes.target.served.plural}
    return fits and subresource in ({"*"} if attributes.target.subresource else set()) | {attributes.target.subresource}
