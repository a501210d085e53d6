"""An access report as lines for people and as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from keyless.api.words import counted
from keyless.identity.access.model import Hands, Reach, Report, StaticKey, Verdict, Way

_HOW = {"irsa": "by its token", "pod-identity": "by an association"}
_FEW = 5
"""Namespaces that a line names; a Space has hundreds that are alike."""
_NOT_LOOKED_AT = "service control, resource control and VPC endpoint policies; session policies of associations"


def render_text(report: Report) -> str:
    """Roles and users, who can become them, who in Kubernetes can act for those, static keys, what was not seen."""
    lines = [report.resource, f"  asked     {', '.join(report.actions)}"]
    if not report.reaches:
        lines.append("  nobody in this account reaches it")
    for one in report.reaches:
        lines += _reach(one)
    lines += [f"by the resource's own policy: {one}" for one in report.outside]
    for each in report.hands:
        lines += _hands(each)
    lines += [f"static key{'' if one.certain else ' perhaps'}: {_key(one)}" for one in report.static]
    lines += [f"not seen  {one}" for one in (*report.unread, _NOT_LOOKED_AT)]
    return "\n".join(lines)


def _reach(one: Reach) -> Iterator[str]:
    kind = "role" if one.holder.is_role else "user"
    through = f", which may become {one.through}" if one.through else ""
    yield f"{kind} {one.holder.arn}{through}"
    if not one.through:
        for each in one.may:
            hangs = f"; hangs on {', '.join(each.hangs_on)}" if each.hangs_on else ""
            yield f"  {each.verdict:<11} {each.action} on {each.resource}, by {each.by or 'the policies'}{hangs}"
    for way in one.ways:
        yield f"  subject   {way.subject} {_HOW[way.how]}{_of(way)}"
    yield from (f"  also      {other}" for other in one.others)
    if one.holder.is_role and not one.ways:
        yield "  no service account of this cluster becomes it"


def _of(way: Way) -> str:
    if "*" in way.subject or "?" in way.subject:
        return ": whoever makes a service account that fits"
    words = "" if way.there else " (no such service account now: whoever makes it)"
    words += " (its annotation does not name this role)" if way.there and not way.names_it else ""
    return words + (f"; hangs on {', '.join(way.hangs_on)}" if way.hangs_on else "")


def _hands(each: Hands) -> Iterator[str]:
    shown = ", ".join(each.namespaces[:_FEW])
    more = f" and {len(each.namespaces) - _FEW} more" if len(each.namespaces) > _FEW else ""
    yield f"in namespace{'s' if len(each.namespaces) > 1 else ''} {shown}{more} these can act as them"
    for one in (hand for hand in each.hands if not hand.own):
        yield f"  {one.who}: {', '.join(one.means)} ({one.by})"
    own = {hand.who for hand in each.hands if hand.own}
    if own:
        yield f"  and {counted(len(own), 'controller')} of Kubernetes itself"
    if not each.hands:
        yield "  nobody but who administers the API server itself"


def _key(one: StaticKey) -> str:
    return f"{one.where}{f', {one.used}' if one.used else ''}"


def render_json(report: Report) -> dict[str, object]:
    """The same, whole."""
    return {
        "resource": report.resource,
        "actions": list(report.actions),
        "reachedBy": [_json(one) for one in report.reaches],
        "byItsOwnPolicy": list(report.outside),
        "namespaces": [
            {
                "names": list(each.namespaces),
                "canActAsThem": [
                    {"who": hand.who, "means": list(hand.means), "by": hand.by, "partOfKubernetes": hand.own}
                    for hand in each.hands
                ],
            }
            for each in report.hands
        ],
        "staticKeys": _keys(report.static),
        "unread": list(report.unread),
        "notSeen": _NOT_LOOKED_AT,
    }


def _json(one: Reach) -> dict[str, object]:
    return {
        "kind": "role" if one.holder.is_role else "user",
        "arn": one.holder.arn,
        "through": one.through or None,
        "may": [
            {
                "action": each.action,
                "resource": each.resource,
                "verdict": each.verdict.value,
                "by": each.by or None,
                "hangsOn": list(each.hangs_on),
            }
            for each in one.may
        ],
        "subjects": [
            {
                "subject": way.subject,
                "mode": way.how,
                "exists": way.there,
                "namesTheRole": way.names_it,
                "hangsOn": list(way.hangs_on),
            }
            for way in one.ways
        ],
        "others": list(one.others),
    }


def _keys(static: Iterable[StaticKey]) -> list[dict[str, object]]:
    return [{"where": one.where, "used": one.used or None, "certain": one.certain} for one in static]


def is_complete(report: Report) -> bool:
    """Whether everything that the answer hangs on was seen."""
    return not report.unread and all(each.verdict is not Verdict.UNKNOWN for one in report.reaches for each in one.may)
