"""Keeps the webhook's own certificate: gather, do the next step, look again; and lay out what is served as files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from keyless.api import KeylessError, Permanent
from keyless.identity.certificates.plan import AUTHORITY_LIFE, Authority, Held, Step, next_step, taken_along
from keyless.identity.certificates.reading import (
    AUTHORITY_KEY,
    BUNDLE,
    CERTIFICATE,
    KEY,
    authorities_of,
    bundle_of,
    hooks_of,
    read_held,
    texts_of,
)
from keyless.kube import AlreadyExists, Conflict, Kube, KubeObject, NotFound
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS, SECRETS
from keyless.serving.certificates import Wanted, make_authority, sign

FIELD_MANAGER = "pod-identity-webhook"
MARK = "identity.keyless.dev/webhook-certificate"
"""The label of a Secret that is ours to write: one of somebody else's with that name is left, and told of."""
LOOK_SECONDS, AGAIN_SECONDS = 30.0, 5.0
_MOST_STEPS = 12
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """The Secret, the Service whose name is certified, in the same namespace, and the configuration that names it."""

    namespace: str
    secret: str
    service: str
    configuration: str

    @property
    def names(self) -> frozenset[str]:
        """By what the API server calls it."""
        return frozenset({f"{self.service}.{self.namespace}.svc"})


class Keeper:
    """``folder`` is where ``tls.crt`` and ``tls.key`` are laid out for the listener, which reads changed ones again."""

    def __init__(self, kube: Kube, place: Place, folder: Path, *, now: Callable[[], datetime]) -> None:
        self.place, self.folder, self._kube, self._now = place, folder, kube, now
        self._laid_out: tuple[str, str] | None = None
        self.trouble = ""
        self._served = asyncio.Event()

    async def served(self) -> None:
        """Wait until there is a certificate that the API server trusts."""
        await self._served.wait()

    async def run(self) -> None:
        """Look twice a minute, until cancelled."""
        while True:
            try:
                await self.settle()
            except KeylessError as error:
                # What is laid out goes on being served: half of its life is left when it is first due.
                self._tell(str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._tell("")
                await asyncio.sleep(LOOK_SECONDS)

    async def settle(self) -> None:
        """Do what is due, one step after another; raises ``KeylessError``."""
        for _ in range(_MOST_STEPS):
            secret = await self._secret()
            configuration = await self._kube.get(MUTATINGWEBHOOKCONFIGURATIONS, self.place.configuration)
            bundle = bundle_of(hooks_of(configuration, self.place.namespace, self.place.service))
            held = read_held(secret)
            self._lay_out(held, secret, bundle)
            trusted = authorities_of(bundle)
            step = next_step(held, bundle, trusted, self.place.names, self._now())
            if step is None:
                return
            others = taken_along(held, trusted, self._now())
            # Whoever was quicker did this step, or another: look again.
            with contextlib.suppress(Conflict, AlreadyExists):
                await self._do(step, held, secret, configuration, others)
                log.info("certificate", did=str(step))

    async def _secret(self) -> KubeObject | None:
        place = self.place
        try:
            found = await self._kube.get(SECRETS, place.secret, place.namespace)
        except NotFound:
            return None
        if MARK not in (found["metadata"].get("labels") or {}):
            raise Permanent(
                f"Secret {place.namespace}/{place.secret}: expected one that the webhook made (label {MARK}), found "
                "another's; remove it, or name another by --certificate-secret"
            )
        return found

    async def _do(
        self,
        step: Step,
        held: Held | None,
        secret: KubeObject | None,
        configuration: KubeObject,
        others: tuple[Authority, ...],
    ) -> None:
        if step is Step.TELL and held is not None:
            told = _with_bundle(configuration, self.place, held.bundle)
            await self._kube.replace(MUTATINGWEBHOOKCONFIGURATIONS, told, field_manager=FIELD_MANAGER)
            return
        before = texts_of(secret)
        await self._write(secret, before | self._made(step, held, before, others), configuration)

    def _made(
        self, step: Step, held: Held | None, before: Mapping[str, str], others: tuple[Authority, ...]
    ) -> dict[str, str]:
        """What the step changes in the Secret."""
        along = "".join(one.pem for one in others)
        if held is None or step is Step.MAKE:
            new = self._authority()
            return {**new, BUNDLE: new[BUNDLE] + along} | self._signed(new[BUNDLE], new[AUTHORITY_KEY])
        if step is Step.TAKE_ALONG:
            # Signed anew, too: by the age of what is served the others know when to leave.
            signed = self._signed(held.authorities[0].pem, before[AUTHORITY_KEY])
            return {BUNDLE: held.bundle + along} | signed
        if step is Step.SIGN:
            return self._signed(held.authorities[0].pem, before[AUTHORITY_KEY])
        if step is Step.ADD_AUTHORITY:
            new = self._authority()
            return {**new, BUNDLE: new[BUNDLE] + held.bundle}
        return {BUNDLE: held.authorities[0].pem}

    def _authority(self) -> dict[str, str]:
        made = make_authority(self.place.service, self._now(), AUTHORITY_LIFE)
        return {BUNDLE: made.certificate, AUTHORITY_KEY: made.key}

    def _signed(self, authority: str, key: str) -> dict[str, str]:
        wanted = Wanted(self.place.service, addresses=tuple(sorted(self.place.names)))
        made = sign({"ca.crt": authority, "ca.key": key}, wanted, self._now())
        return {CERTIFICATE: made.certificate, KEY: made.key}

    async def _write(self, secret: KubeObject | None, texts: Mapping[str, str], configuration: KubeObject) -> None:
        data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        metadata: KubeObject = {
            "name": self.place.secret,
            "namespace": self.place.namespace,
            "labels": {MARK: "true"},
            # It goes with the registration: `helm uninstall` knows nothing of what the webhook made.
            "ownerReferences": [_owner(configuration)],
        }
        if secret is None:
            made: KubeObject = {"metadata": metadata, "type": "Opaque", "data": data}
            await self._kube.create(SECRETS, made, field_manager=FIELD_MANAGER)
        else:
            # With its resourceVersion: another replica's step is never undone.
            await self._kube.replace(SECRETS, {**secret, "data": data}, field_manager=FIELD_MANAGER)

    def _lay_out(self, held: Held | None, secret: KubeObject | None, bundle: str) -> None:
        """What the API server would not trust is not served in place of what it does."""
        if held is None or not held.leaf.signer or held.leaf.signer not in bundle:
            return
        texts = texts_of(secret)
        pair = (texts[CERTIFICATE], texts[KEY])
        if pair != self._laid_out:
            self.folder.mkdir(parents=True, exist_ok=True)
            _put(self.folder / "tls.key", pair[1])
            _put(self.folder / "tls.crt", pair[0])
            self._laid_out = pair
        self._served.set()

    def _tell(self, trouble: str) -> None:
        if trouble and not self.trouble:
            log.warning("certificate not looked after", error=trouble)
        elif self.trouble and not trouble:
            log.info("certificate is looked after again")
        self.trouble = trouble


def _owner(configuration: KubeObject) -> KubeObject:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "name": configuration["metadata"]["name"],
        "uid": configuration["metadata"]["uid"],
    }


def _with_bundle(configuration: KubeObject, place: Place, bundle: str) -> KubeObject:
    encoded = base64.b64encode(bundle.encode()).decode()
    ours = hooks_of(configuration, place.namespace, place.service)
    hooks = [
        {**one, "clientConfig": {**one["clientConfig"], "caBundle": encoded}} if one in ours else one
        for one in configuration.get("webhooks") or ()
    ]
    if not ours:
        raise Permanent(
            f"MutatingWebhookConfiguration {place.configuration}: expected a webhook of Service "
            f"{place.namespace}/{place.service}, found none: the API server cannot be told whom to trust"
        )
    return {**configuration, "webhooks": hooks}


def _put(path: Path, text: str) -> None:
    """Whole or not at all: the listener may read at any moment."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
