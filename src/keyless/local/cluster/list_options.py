"""Which options of lists and watches go together: upstream's table. Pure.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from keyless.api.numbers import is_digits
from keyless.local.cluster.faults import FieldError, forbidden, unsupported
from keyless.local.cluster.messages import Request
from keyless.local.cluster.status import bad_request, invalid

_MATCH = "resourceVersionMatch"


def check_options(request: Request, *, watch: bool) -> None:
    """Refuse what contradicts itself; raises ``ApiError`` 400 or 422."""
    faults = _watch_faults(request) if watch else _list_faults(request)
    if faults:
        raise invalid("meta.k8s.io", "ListOptions", "", [fault.cause() for fault in faults])
    version = request.params.get("resourceVersion", "")
    if version and not is_digits(version):
        text = f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        raise bad_request(f"invalid resource version: {text}")


def _list_faults(request: Request) -> list[FieldError]:
    match, version = request.params.get(_MATCH, ""), request.params.get("resourceVersion", "")
    faults = []
    if match and not version:
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if match and request.params.get("continue"):
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in {"", "Exact", "NotOlderThan"}:
        faults.append(unsupported(_MATCH, match, ("Exact", "NotOlderThan", ""), in_order=True))
    if match == "Exact" and version == "0":
        faults.append(forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in request.params:
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return faults


def _watch_faults(request: Request) -> list[FieldError]:
    match, initial = request.params.get(_MATCH, ""), "sendInitialEvents" in request.params
    faults = []
    if initial and match != "NotOlderThan":
        faults.append(forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if not match:
        return faults
    if not initial:
        faults.append(
            forbidden(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        )
    if match != "NotOlderThan":
        faults.append(unsupported(_MATCH, match, ("NotOlderThan",)))
    if request.params.get("continue"):
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    return faults
