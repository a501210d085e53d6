"""Checks of the kinds that make pods from a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.builtin import cron_rules, go_text, names
from keyless.local.cluster.builtin.pod_rules import pod_spec
from keyless.local.cluster.faults import FieldError, forbidden, invalid, required, unsupported
from keyless.local.cluster.selectors import LabelSelector

Object = Mapping[str, Any]
PERCENT = re.compile(r"[0-9]+%")
PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
NOT_NEGATIVE = "must be greater than or equal to 0"
MISMATCH = "`selector` does not match template `labels`"
STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
STATEFUL_FREE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}


def workload(kind: str, obj: Object, old: Object | None) -> list[FieldError]:
    """Deployments, ReplicaSets, DaemonSets and StatefulSets."""
    spec = obj.get("spec") or {}
    errors = _counts(spec, ("replicas",))
    errors += _selector(kind, spec)
    errors += _template(spec)
    errors += _counts(spec, ("minReadySeconds", "revisionHistoryLimit"))
    if kind == "Deployment":
        errors += _strategy(spec.get("strategy") or {}, "spec.strategy")
        errors += _deadline(spec)
    if old is not None:
        errors += _update(kind, spec, old.get("spec") or {})
    return errors


def _counts(spec: Object, fields: tuple[str, ...]) -> list[FieldError]:
    return [invalid(f"spec.{field}", spec[field], NOT_NEGATIVE) for field in fields if (spec.get(field) or 0) < 0]


def _selector(kind: str, spec: Object) -> list[FieldError]:
    selector = spec.get("selector")
    if selector is None:
        return [] if kind == "DaemonSet" else [required("spec.selector")]
    errors = selector_faults(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        text = f"empty selector is invalid for {kind.lower()}"
        return [*errors, _go("spec.selector", go_text.label_selector(selector), text)]
    if errors:
        errors.append(_go("spec.selector", go_text.label_selector(selector), "invalid label selector"))
    return errors


def selector_faults(selector: Object, path: str) -> list[FieldError]:
    """The faults of a ``metav1.LabelSelector``."""
    errors = names.labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        place, operator = f"{path}.matchExpressions[{index}]", expression.get("operator", "")
        values = expression.get("values")
        if operator in {"In", "NotIn"} and not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(required(f"{place}.values", text))
        elif operator in {"Exists", "DoesNotExist"} and values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{place}.values", text))
        elif operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            errors.append(invalid(f"{place}.operator", operator, "not a valid selector operator"))
        errors += names.checked(f"{place}.key", expression.get("key", ""), names.qualified)
    return errors


def _template(spec: Object) -> list[FieldError]:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    errors: list[FieldError] = []
    broken = bool(selector_faults(selector, "")) if selector else False
    empty = selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
    if not broken and not empty:
        matches = selector is not None and LabelSelector.from_object(selector).matches(labels)
        if not matches:
            errors.append(_go("spec.template.metadata.labels", go_text.string_map(labels), MISMATCH))
    errors += names.labels("spec.template.metadata.labels", labels)
    pod = template.get("spec") or {}
    found = pod_spec(pod, "spec.template.spec")
    restart = pod.get("restartPolicy")
    if restart in {"OnFailure", "Never"}:
        found.append(unsupported("spec.template.spec.restartPolicy", restart, ("Always",)))
    return errors + found


def _strategy(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{path}.rollingUpdate", text)] if rolling is not None else []
    if kind != "RollingUpdate":
        shown = (
            f"apps.DeploymentStrategy{{Type:{go_text.text(kind)}, RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}}"
        )
        text = f'Unsupported value: {shown}: supported values: "Recreate", "RollingUpdate"'
        return [FieldError(path, "FieldValueNotSupported", text)]
    place, errors = f"{path}.rollingUpdate", []
    values = {field: (rolling or {}).get(field, 0) for field in ("maxUnavailable", "maxSurge")}
    for field, value in values.items():
        errors += _amount(value, f"{place}.{field}")
    if not errors and all(_is_zero(value) for value in values.values()):
        shown = go_text.int_or_string(values["maxUnavailable"])
        errors.append(_go(f"{place}.maxUnavailable", shown, "may not be 0 when `maxSurge` is 0"))
    return errors


def _amount(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return [] if PERCENT.fullmatch(value) else [_go(path, go_text.int_or_string(value), PERCENT_TEXT)]
    return [invalid(path, value, NOT_NEGATIVE)] if value < 0 else []


def _is_zero(value: Any) -> bool:
    return value in (0, "0%")


def _deadline(spec: Object) -> list[FieldError]:
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is None:
        return []
    if deadline < 0:
        return [invalid("spec.progressDeadlineSeconds", deadline, NOT_NEGATIVE)]
    if deadline <= spec.get("minReadySeconds", 0):
        return [invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")]
    return []


def _update(kind: str, new: Object, old: Object) -> list[FieldError]:
    if kind == "StatefulSet":
        before = {key: value for key, value in old.items() if key not in STATEFUL_FREE}
        after = {key: value for key, value in new.items() if key not in STATEFUL_FREE}
        return [] if before == after else [forbidden("spec", STATEFUL_TEXT)]
    selector = new.get("selector")
    if selector == old.get("selector"):
        return []
    shown = '"null"' if selector is None else go_text.label_selector(selector)
    return [_go("spec.selector", shown, "field is immutable")]


def job(obj: Object, old: Object | None) -> list[FieldError]:
    """Jobs: the template may not change, and its pods may not always be restarted."""
    spec = obj.get("spec") or {}
    errors = _counts(spec, ("completions", "parallelism", "backoffLimit"))
    errors += job_template(spec.get("template") or {}, "spec.template")
    if old is not None:
        before = old.get("spec") or {}
        for field in ("completions", "selector", "template"):
            if spec.get(field) != before.get(field):
                errors.append(
                    FieldError(f"spec.{field}", "FieldValueInvalid", f"{_value(spec, field)}field is immutable")
                )
    return errors


def _value(spec: Object, field: str) -> str:
    """Templates are pages long in Go's notation; numbers are shown."""
    found = spec.get(field)
    return f"Invalid value: {found}: " if isinstance(found, int) else "Invalid value: "


def job_template(template: Object, path: str) -> list[FieldError]:
    """A pod template whose pods end."""
    pod = template.get("spec") or {}
    errors = pod_spec(pod, f"{path}.spec")
    if pod.get("restartPolicy") not in {"OnFailure", "Never"}:
        errors.append(required(f"{path}.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    return errors


def cron_job(obj: Object, old: Object | None) -> list[FieldError]:
    """CronJobs."""
    spec = obj.get("spec") or {}
    errors = cron_rules.timing(spec, (old or {}).get("spec"))
    job_spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return errors + job_template(job_spec.get("template") or {}, "spec.jobTemplate.spec.template")


def _go(path: str, shown: str, text: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {shown}: {text}")
