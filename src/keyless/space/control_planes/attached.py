"""The credentials of an API that is brought: the given one makes a narrow one, which is used and renewed from then on.

The given token is an administrator's and ends whenever its maker likes. It makes service account ``operator`` inside,
whose rights are the operator's own work and what it hands on to the components, and a token of it that lives a day.
From then on that token renews itself. The given one is taken up again where the narrow one is refused, where it lacks
a right that this version needs, when the Secret was changed, and to clean up at the end. Pure.
"""

from __future__ import annotations

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.kube.resources import CLUSTERROLES, ROLES, SECRETS
from keyless.space.control_planes import belonging, beside, protection, tenant, tokens
from keyless.space.control_planes.model import (
    ATTACHED_ANNOTATION,
    CREDENTIAL,
    Facts,
    Finding,
    IssueToken,
    Plan,
    Served,
    own_key,
)
from keyless.space.control_planes.secrets import data_of
from keyless.space.control_planes.writing import write
from keyless.space.items import Item, Key, is_ours
from keyless.space.place import Place
from keyless.space.settling import stamp_of

LIFETIME_SECONDS = 24 * 3600
"""Half of it is how long an operator may be away without the given token; EKS issues no longer one."""


def given_key(control_plane: KubeObject) -> Key | None:
    """The Secret that was brought; None where none is named."""
    metadata = control_plane["metadata"]
    name = (metadata.get("annotations") or {}).get(ATTACHED_ANNOTATION)
    return Key(SECRETS, name, metadata["namespace"]) if name else None


def ways_in(facts: Facts) -> tuple[Served, ...] | Refusal:
    """The credentials there are, the one to try first in front."""
    given, own = _given(facts), _own(facts)
    if isinstance(given, Refusal):
        return (own,) if own is not None else given
    if own is None or (own.server, own.ca_pem) != (given.server, given.ca_pem):
        return (given,)
    # At the end the given one goes first: the narrow one cannot take away what it stands on.
    leaving = bool(facts.control_plane["metadata"].get("deletionTimestamp")) and not protection.holds(facts)
    return (given, own) if leaving or _is_news(facts) or _is_over(facts) else (own, given)


def is_borrowed(facts: Facts) -> bool:
    """Whether the given credential is in use, and what it is for is still to do."""
    return facts.entered is not None and facts.entered.given and bool(_missing(facts))


def is_outgrown(facts: Facts) -> bool:
    """Whether the narrow credential lacks a right that it cannot give itself."""
    return bool(facts.entered and facts.entered.token and not facts.entered.given and _missing_rights(facts))


def make_own(facts: Facts, place: Place, served: Served) -> Plan:
    """The operator's account inside, and its token: with the given credential, or by its own renewal."""
    if served.token is None:
        return Plan()
    if served.given:
        written = write(facts, _wanted_rights(facts), "tenant")
        if written.steps:
            return written
    elif narrower := _narrower(facts):
        # To hold less it needs nobody: Kubernetes lets each give what it has itself.
        return write(facts, narrower, "tenant")
    account = (facts.tenant or {}).get(tenant.account_key(tenant.OPERATOR))
    if account is None:
        return Plan()
    step = IssueToken(tenant.OPERATOR, own_key(place), lifetime_seconds=LIFETIME_SECONDS, made_from=_made_from(facts))
    live = facts.host.get(step.secret)
    due = tokens.due_in_seconds(live, served, account["metadata"]["uid"], facts.now)
    if due <= 0 or (served.given and _is_news(facts)):
        return Plan((step,))
    return Plan(again_seconds=due)


def findings(facts: Facts) -> tuple[Finding, ...]:
    """What is said of the given credential while the narrow one works."""
    if facts.entered is None or facts.entered.given or facts.entered.token is None:
        return ()
    if facts.given_refused:
        told = f"{_void(facts)}; the operator goes on with its own token, which renews itself"
        return (Finding("Synced", False, Reason.ATTACHED_CREDENTIAL_REFUSED, told),)
    if _missing_rights(facts):
        told = (
            "the operator's rights inside are not what this version needs, and only an administrator's token can widen "
            f"them: put one into {given_key(facts.control_plane) or 'the Secret of the API'}"
        )
        return (Finding("Synced", False, Reason.ATTACHED_CREDENTIAL_REFUSED, told),)
    return ()


def refusal(facts: Facts) -> Refusal | None:
    """Why nothing can be done inside: no credential is left that its API knows."""
    if facts.tenant is not None or not facts.given_refused:
        return None
    return Refusal(Reason.ATTACHED_CREDENTIAL_REFUSED, _void(facts))


def _void(facts: Facts) -> str:
    given = _given(facts)
    server = given.server if isinstance(given, Served) else "its API"
    key = given_key(facts.control_plane)
    name = key.name if key else "SECRET"
    namespace = facts.control_plane["metadata"]["namespace"]
    return (
        f"{server} refuses the token in {key} (401 Unauthorized): expected the valid token of an administrator there; "
        f'`kubectl patch secret {name} -n {namespace} --type=merge -p \'{{"stringData":{{"token":"TOKEN"}}}}\'` '
        "puts in another"
    )


def _given(facts: Facts) -> Served | Refusal:
    key = given_key(facts.control_plane)
    if key is None:
        return Refusal(
            Reason.ATTACHED_SECRET_MISSING,
            f"controlPlanes.api.mode is attached: expected annotation {ATTACHED_ANNOTATION} with the name of a Secret "
            f"in the group that holds {' and '.join(CREDENTIAL)}; found none; {annotate(facts)}",
        )
    live = facts.host.get(key)
    if live is None:
        return Refusal(Reason.ATTACHED_SECRET_MISSING, f"{key} does not exist; create it with server, ca.crt and token")
    data = data_of(live)
    missing = [name for name in CREDENTIAL if not data.get(name)]
    if missing:
        return Refusal(Reason.ATTACHED_SECRET_MISSING, f"{key} has no {', '.join(missing)}; add them")
    return Served(data["server"].strip(), data["ca.crt"], data["token"].strip(), given=True)


def annotate(facts: Facts) -> str:
    """The command that names the Secret of an API."""
    metadata = facts.control_plane["metadata"]
    return (
        f"`kubectl annotate controlplane {metadata['name']} -n {metadata['namespace']} "
        f"{ATTACHED_ANNOTATION}=SECRET` names one"
    )


def _own(facts: Facts) -> Served | None:
    live = facts.host.get(own_key(facts.place)) if facts.place else None
    data = data_of(live) if live is not None else {}
    if not all(data.get(name) for name in CREDENTIAL):
        return None
    return Served(data["server"], data["ca.crt"], data["token"])


def _made_from(facts: Facts) -> str:
    """Which version of the given Secret made the narrow token; nothing of what it holds."""
    key = given_key(facts.control_plane)
    metadata = (facts.host.get(key) or {}).get("metadata") or {} if key else {}
    return f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}"


def _is_news(facts: Facts) -> bool:
    live = facts.host.get(own_key(facts.place)) if facts.place else None
    annotations = (live or {"metadata": {}})["metadata"].get("annotations") or {}
    return annotations.get(tokens.MADE_FROM) != _made_from(facts)


def _is_over(facts: Facts) -> bool:
    live = facts.host.get(own_key(facts.place)) if facts.place else None
    return live is None or tokens.is_over(live, facts.now)


def _wanted_rights(facts: Facts) -> tuple[Item, ...]:
    where = (facts.tenant or {}).get(belonging.KEY)
    if where is None:
        return ()  # their owner comes first
    connects = bool(facts.spec.get("writeConnectionSecretToRef"))
    return tenant.operator(where["metadata"]["uid"], connects=connects, controllers=beside.operator_needs(facts))


def _missing_rights(facts: Facts) -> tuple[Key, ...]:
    wanted = _wanted_rights(facts)
    lives = {each.key: (facts.tenant or {}).get(each.key) for each in wanted}
    due = [each for each in wanted if stamp_of(lives[each.key] or {"metadata": {}}) != stamp_of(each.object)]
    return tuple(each.key for each in due if not _holds_more(lives[each.key], each))


def _narrower(facts: Facts) -> list[Item]:
    """The roles that hold more than they should, where none holds less."""
    lives = facts.tenant or {}
    due = [each for each in _wanted_rights(facts) if _holds_more(lives.get(each.key), each)]
    return (
        [] if _missing_rights(facts) else [each for each in due if stamp_of(lives[each.key]) != stamp_of(each.object)]
    )


def _holds_more(live: KubeObject | None, wanted: Item) -> bool:
    """Whether a role has each of the rules that it should have, if perhaps with more names."""
    if live is None or not is_ours(live) or wanted.key.resource not in (ROLES, CLUSTERROLES):
        return False
    rules = live.get("rules") or []
    return all(any(_covers(rule, needed) for rule in rules) for needed in wanted.object["rules"])


def _covers(rule: KubeObject, needed: KubeObject) -> bool:
    names, asked = rule.get("resourceNames"), needed.get("resourceNames")
    same = all(rule.get(field) == needed.get(field) for field in ("apiGroups", "resources", "verbs"))
    if not names:
        return same
    return same and bool(asked) and set(asked or ()) <= set(names)


def _missing(facts: Facts) -> bool:
    return bool(_missing_rights(facts)) or _is_news(facts) or _is_over(facts)
