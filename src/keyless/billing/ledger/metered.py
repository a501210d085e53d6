"""The frame of a sample's dimensions as JSON, and dimensions as a list of texts: the same in spool and bucket."""

from __future__ import annotations

from typing import Any

from keyless.billing.ledger.model import Dimensions, Gvk, Limited, Measure, Meter, Metered, moment_untrusted, stamp


def metered_payload(content: Metered) -> dict[str, Any]:
    """The frame's payload; what is empty is left out, for most samples change little."""
    payload: dict[str, Any] = {"at": stamp(content.at), "rows": [_row(*item) for item in sorted(content.rows.items())]}
    if content.whole:
        payload["whole"] = True
    if content.new:
        payload["new"] = [[number, *dimensions_list(each)] for number, each in sorted(content.new.items())]
    if content.peaks:
        payload["peaks"] = [[[number, n] for number, n in sorted(peak.items())] for peak in content.peaks]
    if content.unknown:
        payload["unknown"] = [[meter.value, g.group, g.version, g.kind] for meter, g in sorted(content.unknown)]
    return payload


def metered_untrusted(payload: Any) -> Metered:
    """Read it; raises ``KeyError``, ``ValueError`` or ``TypeError``."""
    return Metered(
        moment_untrusted(payload["at"]),
        bool(payload.get("whole", False)),
        {int(number): dimensions_untrusted(rest) for number, *rest in payload.get("new", ())},
        {int(number): Measure(*(int(each) for each in rest)) for number, *rest in payload["rows"]},
        tuple({int(number): int(n) for number, n in peak} for peak in payload.get("peaks", ())),
        tuple((Meter(m), Gvk(str(g), str(v), str(k))) for m, g, v, k in payload.get("unknown", ())),
    )


def dimensions_list(of: Dimensions) -> list[Any]:
    """In the order of :data:`COLUMNS`, the labels as a list; what is not known is null."""
    gvk = of.gvk
    names = (of.provider, of.namespace, of.composite, of.claim, of.claim_namespace, of.composition)
    return [of.meter.value, gvk.group, gvk.version, gvk.kind, *names, list(of.labels), int(of.limited)]


COLUMNS = (
    "meter",
    "group",
    "version",
    "kind",
    "provider",
    "namespace",
    "composite",
    "claim",
    "claimNamespace",
    "composition",
    "labels",
    "limited",
)


def dimensions_untrusted(found: Any) -> Dimensions:
    """Read a list of :func:`dimensions_list`; raises ``ValueError`` or ``TypeError``."""
    meter, group, version, kind, *names, labels, limited = found
    provider, namespace, composite, claim, claim_namespace, composition = (
        None if name is None else str(name) for name in names
    )
    return Dimensions(
        Meter(meter),
        Gvk(str(group), str(version), str(kind)),
        provider,
        namespace,
        composite,
        claim,
        claim_namespace,
        composition,
        tuple(None if value is None else str(value) for value in labels),
        Limited(limited),
    )


def _row(number: int, measure: Measure) -> list[int]:
    row = [number, measure.count, measure.extra_ms, measure.created]
    while len(row) > 2 and row[-1] == 0:
        row.pop()
    return row
