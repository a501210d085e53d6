"""What a control plane's processes make of its authorities: tried, while these change."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from keyless.api import KeylessError
from keyless.kube import Kube, NotFound, Unauthorized
from keyless.space.control_planes import authority, renewal
from keyless.space.control_planes.model import Facts, Served, Trust
from keyless.space.control_planes.ports import Door
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.authorities import Authorities
from keyless.space.place import Place

ANYTHING = "/version"
"""Anonymous callers get nothing but the probes."""
STATUS = "/v3/maintenance/status"


async def ask(facts: Facts, place: Place, inside: Kube, door: Door) -> Facts:
    """Beside what is known, what the next step of a change needs. It only waits longer where it is not answered."""
    found, entered = authority.known(facts.host, place), facts.entered
    if found is None or found.stage == "current" or entered is None or entered.etcd is None:
        return facts
    if found.stage == "signing":
        trust = Trust(shown=await _shown(found, entered, entered.etcd, door))
    else:
        trust = await _let_in(facts, found, entered, entered.etcd, door)
        trust = replace(trust, published=await _published(inside))
    return replace(facts, trust=trust)


async def _shown(found: Authorities, served: Served, etcd: Served, door: Door) -> bool | None:
    """By who believes nobody but the first one."""
    alone = found.first.certificate
    api = await _answers(door(replace(served, ca_pem=alone, etcd=None)), "GET", ANYTHING)
    return api and await _answers(door(replace(etcd, ca_pem=alone)), "POST", STATUS)


async def _let_in(facts: Facts, found: Authorities, served: Served, etcd: Served, door: Door) -> Trust:
    """For who comes with what the second one signed. etcd says nothing to whom it does not believe: it ends TLS."""
    second = found.all[1]
    if not second.key:
        return Trust()
    keys = {"ca.crt": second.certificate, "ca.key": second.key}
    user = await asyncio.to_thread(issuing.for_operator, keys, facts.now)
    to_etcd = await asyncio.to_thread(issuing.for_etcd, keys, issuing.OF_ETCD, facts.now)
    api = await _answers(door(replace(served, certificate=user.certificate, key=user.key, etcd=None)), "GET", ANYTHING)
    by_etcd = await _answers(door(replace(etcd, certificate=to_etcd.certificate, key=to_etcd.key)), "POST", STATUS)
    if by_etcd is None and await _answers(door(etcd), "POST", STATUS):
        by_etcd = False
    return Trust(api, by_etcd)


async def _answers(kube: Kube, method: str, path: str) -> bool | None:
    """Whether somebody is let in; None: nobody says."""
    try:
        await kube.request(method, path, body={} if method == "POST" else None)
    except Unauthorized:
        return False
    except KeylessError:
        return None
    finally:
        await kube.aclose()
    return True


async def _published(inside: Kube) -> str:
    key = renewal.PUBLISHED
    try:
        found = await inside.get(key.resource, key.name, key.namespace)
    except (NotFound, KeylessError):
        return ""
    return str((found.get("data") or {}).get("ca.crt", ""))
