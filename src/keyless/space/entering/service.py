"""The loop: each request of our signers is approved and signed, or refused with the reason.

Approving and signing are two writes. One that was approved and not signed is judged anew: whoever approved it, the
control plane's authority signs only what the asker is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from keyless.api import KeylessError, Reason, Refusal
from keyless.kube import Controller, Event, Informer, Kube, KubeObject, Name, NotFound, timestamp
from keyless.kube.resources import CERTIFICATESIGNINGREQUESTS, CONTROLPLANES, SECRETS
from keyless.serving.certificates import Wanted, sign_key
from keyless.space.control_planes import authority
from keyless.space.control_planes.model import place_of
from keyless.space.entering.names import SUBRESOURCE, plane_of
from keyless.space.entering.plan import Facts, Wait, decide
from keyless.space.entering.reading import Asked, is_approved, is_open, read_untrusted
from keyless.space.items import CONTROL_PLANE_LABEL
from keyless.space.kubernetes.names import authority_key, keys_key
from keyless.tasks import Tasks

_log = structlog.get_logger("keyless.operator")
WAIT_SECONDS = 1.0
LOOK_SECONDS = 5.0
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Entering:
    """``run`` ends where the host knows no CertificateSigningRequest: there, nobody can ask."""

    def __init__(self, host: Kube, *, now: Callable[[], datetime]) -> None:
        self._host, self._now = host, now
        self._controller: Controller[str] = Controller("entering", self.reconcile)

    async def run(self) -> None:
        """Work until cancelled."""
        if not await self._is_served():
            return
        requests = Informer(self._host, CERTIFICATESIGNINGREQUESTS, keep=_kept)
        requests.on_change(self._changed)
        async with Tasks() as group:
            group.create_task(requests.run())
            group.create_task(self._controller.run(2))

    async def reconcile(self, name: str) -> float | None:
        """One request; returns the seconds after which to look again without a change."""
        try:
            request = await self._host.get(CERTIFICATESIGNINGREQUESTS, name)
        except NotFound:
            return None
        plane = plane_of((request.get("spec") or {}).get("signerName") or "")
        if plane is None or not is_open(request):
            return None
        match read_untrusted(request):
            case Refusal() as refusal:
                await self._refuse(request, refusal)
                return None
            case Asked() as asked:
                return await self._judge(request, plane, asked)

    async def _judge(self, request: KubeObject, name: Name, asked: Asked) -> float | None:
        plane, keys = await self._plane(name)
        may = await self._may(request["spec"], name)
        match decide(Facts(name, request, asked, may, plane, keys is not None)):
            case Refusal() as refusal:
                await self._refuse(request, refusal)
            case Wait():
                return WAIT_SECONDS
            case Asked():
                assert keys is not None
                await self._sign(request, asked, keys)
        return None

    async def _plane(self, name: Name) -> tuple[KubeObject | None, dict[str, str] | None]:
        try:
            plane = await self._host.get(CONTROLPLANES, name.name, name.namespace)
        except NotFound:
            return None, None
        place = place_of(plane)
        if place is None:
            return plane, None
        try:
            secret = await self._host.get(SECRETS, keys_key(place).name, place.host_namespace)
        except NotFound:
            return plane, None
        held = {keys_key(place): secret}
        with contextlib.suppress(NotFound):
            key = authority_key(place)
            held[key] = await self._host.get(SECRETS, key.name, place.host_namespace)
        # A Secret that somebody else put there signs for nothing of ours.
        for each in held.values():
            if (each["metadata"].get("labels") or {}).get(CONTROL_PLANE_LABEL) != place.control_plane_id:
                return plane, None
        keys = authority.signing(held, place)
        return plane, dict(keys) if keys is not None else None

    async def _may(self, spec: KubeObject, name: Name) -> bool:
        who = {key: spec[key] for key in ("groups", "uid", "extra") if spec.get(key)}
        attributes = {
            "verb": "create",
            "group": CONTROLPLANES.group,
            "resource": CONTROLPLANES.plural,
            "subresource": SUBRESOURCE,
            "namespace": name.namespace,
            "name": name.name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": spec.get("username") or "", **who, "resourceAttributes": attributes},
        }
        answer = await self._host.request("POST", REVIEWS, body=body)
        return isinstance(answer, dict) and (answer.get("status") or {}).get("allowed") is True

    async def _sign(self, request: KubeObject, asked: Asked, keys: dict[str, str]) -> None:
        if not is_approved(request):
            told = f"{request['spec'].get('username')} may enter, as himself and for {asked.seconds} s"
            request = await self._say(request, "Approved", Reason.ACCESS_GRANTED, told)
        wanted, life = Wanted(asked.identity.user, asked.identity.groups), timedelta(seconds=asked.seconds)
        certificate = await asyncio.to_thread(sign_key, keys, asked.key, wanted, self._now(), life)
        status = {**(request.get("status") or {}), "certificate": base64.b64encode(certificate.encode()).decode()}
        await self._host.replace(CERTIFICATESIGNINGREQUESTS, {**request, "status": status}, subresource="status")
        _log.info("certificate signed", request=request["metadata"]["name"], signer=request["spec"]["signerName"])

    async def _refuse(self, request: KubeObject, refusal: Refusal) -> None:
        # Nobody may be both approved and denied: what is approved already has failed.
        kind = "Failed" if is_approved(request) else "Denied"
        await self._say(request, kind, refusal.reason, refusal.detail[:1000])

    async def _say(self, request: KubeObject, kind: str, reason: Reason, message: str) -> KubeObject:
        now = timestamp(self._now())
        told = {"type": kind, "status": "True", "reason": reason, "message": message}
        told |= {"lastUpdateTime": now, "lastTransitionTime": now}
        status = request.get("status") or {}
        body = {**request, "status": {**status, "conditions": [*(status.get("conditions") or ()), told]}}
        where = "status" if kind == "Failed" else "approval"
        return await self._host.replace(CERTIFICATESIGNINGREQUESTS, body, subresource=where)

    async def _is_served(self) -> bool:
        while True:
            try:
                await self._host.request("GET", CERTIFICATESIGNINGREQUESTS.path(), params={"limit": "1"})
            except NotFound:
                return False
            except KeylessError as error:
                _log.info("requests for certificates not read", error=str(error))
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return True

    def _changed(self, event: Event) -> None:
        if plane_of(event.object["spec"]["signerName"]) is not None:
            self._controller.enqueue(event.object["metadata"]["name"])


def _kept(request: KubeObject) -> KubeObject:
    """What wakes the loop: a cluster's nodes ask for certificates, too."""
    metadata = {key: request["metadata"][key] for key in ("name", "uid", "resourceVersion")}
    return {"metadata": metadata, "spec": {"signerName": (request.get("spec") or {}).get("signerName") or ""}}
