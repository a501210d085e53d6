"""Another authority for a control plane, before the one that signs has ended. Pure.

First both are trusted, by everybody; then the new one signs; then the old one goes. Each stage is stored before what it
allows is done, so an operator may end after any write. What each process has read is not guessed from time: it is tried
(``trusting.py``). kube-apiserver reads changed files by itself; etcd and kube-controller-manager read their authorities
when they start (docs/reference/facts/authorities.md), so a change that is not asked for waits for the pod's next start.

What nobody can try is whether people have fetched the new authority: kubeconfigs and copies of the connection's Secret
hold the one of their day. So the old one goes on signing as long as may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyless.api import Reason
from keyless.api.words import counted
from keyless.kube import KubeObject, timestamp
from keyless.kube.resources import CONFIGMAPS
from keyless.space.control_planes import authority
from keyless.space.control_planes.model import Facts, Finding, Plan, Remove, Step, WriteAuthorities
from keyless.space.items import Key
from keyless.space.kubernetes.authorities import Authorities, certificates_in
from keyless.space.kubernetes.certificates import AUTHORITY_LIFE
from keyless.space.kubernetes.names import NAME, authority_key
from keyless.space.place import Place

CONDITION = "AuthorityCurrent"
READ_WITHIN = timedelta(minutes=10)
"""The kubelet needs up to two minutes for a changed Secret, kube-apiserver one, a pod that begins anew one more."""
TOLD_FOR = timedelta(days=30)
"""How long it is told that an authority was replaced at once: kubeconfigs from before do not work any more."""
ASK_SECONDS = 10.0
PUBLISHED = Key(CONFIGMAPS, "kube-root-ca.crt", "kube-system")
"""What kube-controller-manager publishes of what it was started with."""
HANDED_ON = Key(CONFIGMAPS, "extension-apiserver-authentication", "kube-system")
"""Whom API servers behind kube-apiserver are told to trust. It takes nothing out of it by itself, and makes it anew."""
_STEPS = ("added", "signing", "dropped")


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last. All but the last two are counted back from the end of the authority that signs."""

    life: timedelta = AUTHORITY_LIFE
    trusted_before: timedelta = timedelta(days=730)
    """When the new one is made, and handed out beside the old one."""
    restarted_before: timedelta = timedelta(days=180)
    """When the pod is restarted, if nothing has restarted it since."""
    signs_before: timedelta = timedelta(days=90)
    """When the new one signs. Three lives of what the old one signed last."""
    asked_spread: timedelta = timedelta(hours=1)
    """Where it was asked for: how long both are trusted before the new one signs. Tokens and entries live an hour."""
    asked_overlap: timedelta = timedelta(minutes=75)
    """Where it was asked for: how long the old one is trusted after that."""


TERMS = Terms()


def keep(facts: Facts, place: Place, terms: Terms = TERMS) -> Plan:
    """The next step on the way, and how it stands."""
    secret, found = facts.host.get(authority_key(place)), authority.known(facts.host, place)
    if found is None or authority.stand(facts, place):
        return Plan()  # there is none that counts: that comes before
    if secret is None:
        # A Secret of their own for what there is, once another one is due.
        steps = (WriteAuthorities(found, ""),) if _is_due(facts, found, terms) else ()
        return Plan(steps, *_resting(facts, found, terms))
    hurries = found.stage in ("added", "signing") and not found.quick and _is_asked(facts, found)
    if hurries:
        # What is asked for comes after it, so that nothing of today is left then.
        return _on(found, replace(found, quick=True, since=facts.now), secret)
    match found.stage:
        case "current":
            return _rest(facts, found, secret, terms)
        case "added":
            return _added(facts, place, found, secret, terms)
        case "signing":
            return _signing(facts, place, found, secret, terms)
        case _:
            return _dropped(facts, place, found, secret)


def _rest(facts: Facts, found: Authorities, secret: KubeObject, terms: Terms) -> Plan:
    if not _is_due(facts, found, terms):
        return Plan((), *_resting(facts, found, terms))
    wanted = replace(found, asked=authority.asked(facts), quick=_is_asked(facts, found), why="")
    version = authority.version_of(secret)
    step = WriteAuthorities(wanted, version, new="beside", life=terms.life)
    return Plan((step,), (_told(replace(wanted, stage="added"), "a new authority is made"),))


def _added(facts: Facts, place: Place, found: Authorities, secret: KubeObject, terms: Terms) -> Plan:
    trust, ends, now = facts.trust, found.first.ends, facts.now
    new = found.all[1].certificate
    api = trust is not None and trust.api is True
    all_read = trust is not None and api and trust.etcd is True and _publishes(trust.published, new)
    if not all_read:
        last = ends - terms.restarted_before
        if api and found.restart != found.mark and (found.quick or now >= last):
            return _on(found, replace(found.restarting(), since=now), secret)
        if api and found.restart != found.mark:
            what = f"etcd and kube-controller-manager read it when they start next, at {timestamp(last)} by a restart"
            return Plan((), (_told(found, what),), _within(now, last))
        return _waiting(facts, place, found, "both have to be read")
    turns = found.since + terms.asked_spread if found.quick else ends - terms.signs_before
    if now < turns:
        what = f"the old one signs until {timestamp(turns)}: fetch kubeconfigs and connections anew before"
        return Plan((), (_told(found, what),), _within(now, turns))
    return _on(found, found.turned(now), secret)


def _signing(facts: Facts, place: Place, found: Authorities, secret: KubeObject, terms: Terms) -> Plan:
    if facts.trust is None or facts.trust.shown is not True:
        return _waiting(facts, place, found, "certificates of the new one have to be shown")
    over = found.since + terms.asked_overlap if found.quick else max(each.ends for each in found.all[1:])
    if facts.now < over:
        return Plan((), (_told(found, f"the old one is trusted until {timestamp(over)}"),), _within(facts.now, over))
    return _on(found, found.at("dropped", facts.now), secret)


def _dropped(facts: Facts, place: Place, found: Authorities, secret: KubeObject) -> Plan:
    """One that has ended is believed by nobody. One that was given up before has to be forgotten by everybody."""
    ended = all(each.ends <= facts.now for each in found.all[1:])
    trust = facts.trust
    # A key that is lost signs nothing: whether its word counts cannot be tried, and does not matter.
    forgotten = trust is not None and (
        ((trust.api is False and trust.etcd is False) or not found.all[1].key)
        and not any(_publishes(trust.published, each.certificate) for each in found.all[1:])
        and _publishes(trust.published, found.first.certificate)
    )
    done = WriteAuthorities(found.reduced(facts.now), authority.version_of(secret))
    if ended:
        return Plan((done,), (_told(found, "done"),))
    if forgotten:
        steps: tuple[Step, ...] = (Remove(HANDED_ON, "tenant"), done)
        return Plan(steps, (_told(found, "done"),))
    if trust is not None and found.restart != found.mark and (trust.api is False or not found.all[1].key):
        return _on(found, replace(found.restarting(), since=facts.now), secret)
    return _waiting(facts, place, found, "all have to forget the old one")


def _on(before: Authorities, after: Authorities, secret: KubeObject) -> Plan:
    return Plan((WriteAuthorities(after, authority.version_of(secret)),), (_told(before, "done"),))


def _publishes(bundle: str, certificate: str) -> bool:
    return certificate.strip() in {each.strip() for each in certificates_in(bundle)}


def _is_asked(facts: Facts, found: Authorities) -> bool:
    wish = authority.asked(facts)
    return bool(wish) and wish != found.asked


def _is_due(facts: Facts, found: Authorities, terms: Terms) -> bool:
    return _is_asked(facts, found) or facts.now >= found.first.ends - terms.trusted_before


def _within(now: datetime, until: datetime) -> float:
    return (until - now).total_seconds()


def _resting(facts: Facts, found: Authorities, terms: Terms) -> tuple[tuple[Finding, ...], float]:
    ends, now = found.first.ends, facts.now
    due = ends - terms.trusted_before
    days = counted(max(0, (ends - now).days), "day")
    message = (
        f"the authority holds {days} more, until {timestamp(ends)}; another one is handed out from {timestamp(due)} on"
    )
    if found.why and now - found.since < TOLD_FOR:
        return (_replaced(found, message),), _within(now, due)
    return (Finding(CONDITION, True, Reason.AUTHORITY_IN_USE, message),), max(_within(now, due), 0)


def _replaced(found: Authorities, message: str) -> Finding:
    why = "had ended" if found.why == "ended" else "was lost with its Secret"
    told = (
        f"the authority {why}, and another one was made at once by {timestamp(found.since)}: kubeconfigs and "
        f"connections from before do not work any more, fetch them anew; {message}"
    )
    return Finding(CONDITION, True, Reason.AUTHORITY_REPLACED, told)


def _told(found: Authorities, what: str) -> Finding:
    number = _STEPS.index(found.stage) + 1 if found.stage in _STEPS else 0
    message = f"the authority changes, step {number} of {len(_STEPS)}: {what}"
    if found.why:
        return _replaced(found, message)
    return Finding(CONDITION, True, Reason.AUTHORITY_ROTATING, message)


def _waiting(facts: Facts, place: Place, found: Authorities, what: str) -> Plan:
    since = f"{what}, since {timestamp(found.since)}"
    if facts.now - found.since < READ_WITHIN:
        return Plan((), (_told(found, since),), ASK_SECONDS)
    told = (
        f"{since}, and were not; the old one counts meanwhile; "
        f"`kubectl rollout restart statefulset {NAME} -n {place.host_namespace}` makes all read the files anew"
    )
    return Plan((), (Finding(CONDITION, False, Reason.AUTHORITY_NOT_READ, told),), ASK_SECONDS)
