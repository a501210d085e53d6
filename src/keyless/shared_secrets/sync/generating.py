"""Values that generators make for one ExternalSecret, kept so that they change at a refresh and at no other time.

What was made is written into a Secret of its own before the target is: a sync that is stopped, tried again, or only
repairs its target finds it there. The Secret belongs to the ExternalSecret and goes with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
from dataclasses import dataclass

from keyless.aws import AWS_FAILURES
from keyless.kube import AlreadyExists, Conflict, Kube, KubeObject, NotFound, Resource
from keyless.kube.resources import (
    ECRAUTHORIZATIONTOKENS,
    EXTERNALSECRETS,
    PASSWORDS,
    SECRETS,
    UUIDS,
)
from keyless.shared_secrets.stores.model import AwsProvider, StoreFault, auth_of
from keyless.shared_secrets.stores.resolution import Stores
from keyless.shared_secrets.sync import answers, generators
from keyless.shared_secrets.sync.generators import ECR, PASSWORD, UUID, Chance
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.model import GeneratorRef, SpecFault
from keyless.shared_secrets.sync.values import ValueFault
from keyless.shared_secrets.sync.writing import NotSynced

STATE_SUFFIX, STATE_TYPE = ".keyless-generated-", "keyless.dev/generated"
EPOCH = "keyless.dev/refresh"
"""On the state: the refresh for which it was made."""
PUBLIC_ECR, PUBLIC_REGION = "https://public.ecr.aws", "us-east-1"
RESOURCES: dict[str, Resource] = {PASSWORD: PASSWORDS, UUID: UUIDS, ECR: ECRAUTHORIZATIONTOKENS}


@dataclass(frozen=True, slots=True)
class Asking:
    """For which ExternalSecret; ``anew``: its refresh policy asks for new values, else only its target for its own."""

    obj: KubeObject
    anew: bool

    @property
    def epoch(self) -> str:
        """Names the refresh: tried again, it is the same one until it has succeeded."""
        status = self.obj.get("status") or {}
        return f"{status.get('refreshTime') or 'first'}/{resource_version(self.obj)}"


class Generating:
    """Makes values, and keeps them."""

    def __init__(self, kube: Kube, stores: Stores, chance: Chance | None = None) -> None:
        self._kube, self._stores = kube, stores
        self._chance: Chance = chance or random.SystemRandom()

    async def values(self, ref: GeneratorRef, asking: Asking) -> dict[str, bytes]:
        """Return the keys that a generator gives this ExternalSecret; raises ``ValueFault``, ``NotSynced``."""
        namespace = asking.obj["metadata"]["namespace"]
        try:
            generator = await self._kube.get(RESOURCES[ref.kind], ref.name, namespace)
        except NotFound:
            raise ValueFault(f"generator {ref.kind} {namespace}/{ref.name} does not exist") from None
        spec = generator.get("spec") or {}
        try:
            if ref.kind == ECR:
                return await self._token(spec, namespace)
            made = (ref, json.dumps(spec, sort_keys=True))
            return await self._kept(asking, ref, made)
        except SpecFault as fault:
            raise ValueFault(f"generator {ref.kind} {ref.name}: {fault}") from None

    async def _kept(self, asking: Asking, ref: GeneratorRef, made: tuple[GeneratorRef, str]) -> dict[str, bytes]:
        state = await self._state(asking, ref)
        if state is not None:
            said = (state["metadata"].get("annotations") or {}).get(EPOCH)
            known = _decoded(state)
            if known and (said == asking.epoch or not asking.anew):
                return known
        spec = json.loads(made[1])
        new = (
            generators.passwords(generators.password_of(spec), self._chance)
            if ref.kind == PASSWORD
            else generators.uuids(self._chance)
        )
        await self._keep(asking, ref, state, new)
        return new

    async def _token(self, spec: KubeObject, namespace: str) -> dict[str, bytes]:
        try:
            provider = provider_for(spec)
            public = provider.service == "ecr-public"
            opened = await self._stores.open_generator(provider, namespace)
            answer = await opened.session.call(provider.service, "GetAuthorizationToken")
        except StoreFault as fault:
            raise SpecFault(str(fault)) from None
        except AWS_FAILURES as error:
            raise SpecFault(f"{error.operation}: {error.code}: {answers.of_aws(error)}") from None
        return generators.ecr_token(answer, PUBLIC_ECR if public else "")

    async def _state(self, asking: Asking, ref: GeneratorRef) -> KubeObject | None:
        metadata = asking.obj["metadata"]
        try:
            state = await self._kube.get(SECRETS, state_name(metadata["name"], ref), metadata["namespace"])
        except NotFound:
            return None
        owners = state["metadata"].get("ownerReferences") or ()
        if state.get("type") != STATE_TYPE or not any(owner.get("uid") == metadata["uid"] for owner in owners):
            # Somebody else's Secret of that name, or the state of one that was deleted: never read, never overwritten.
            raise ValueFault(f"secret {state['metadata']['name']} is in the way: delete it, it is not this object's")
        return state

    async def _keep(self, asking: Asking, ref: GeneratorRef, state: KubeObject | None, new: dict[str, bytes]) -> None:
        metadata = asking.obj["metadata"]
        owner = {
            "apiVersion": EXTERNALSECRETS.api_version,
            "kind": EXTERNALSECRETS.kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        about: KubeObject = {
            "name": state_name(metadata["name"], ref),
            "namespace": metadata["namespace"],
            "annotations": {EPOCH: asking.epoch},
            "ownerReferences": [owner],
        }
        data = {key: base64.b64encode(value).decode() for key, value in new.items()}
        try:
            if state is None:
                await self._kube.create(SECRETS, {"metadata": about, "type": STATE_TYPE, "data": data})
                return
            about["resourceVersion"] = state["metadata"]["resourceVersion"]
            await self._kube.replace(SECRETS, {"metadata": about, "type": STATE_TYPE, "data": data})
        except (AlreadyExists, Conflict, NotFound):
            raise NotSynced("what a generator made was changed meanwhile: it is read again") from None


def provider_for(spec: KubeObject) -> AwsProvider:
    """Return whose session asks ECR for a token, and where; raises ``StoreFault``."""
    public = spec.get("scope") == "public"
    region = PUBLIC_REGION if public else str(spec.get("region") or "")
    service = "ecr-public" if public else "ecr"
    return AwsProvider(service, region, auth_of(spec.get("auth") or {}), role=str(spec.get("role") or ""))


def state_name(name: str, ref: GeneratorRef) -> str:
    """Return the name of the Secret that keeps what a generator made for an ExternalSecret."""
    digest = hashlib.sha256(f"{name}\0{ref.kind}\0{ref.name}".encode()).hexdigest()[:10]
    return name[:200].rstrip(".-") + STATE_SUFFIX + digest


def _decoded(state: KubeObject) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(text, validate=True) for key, text in (state.get("data") or {}).items()}
    except (binascii.Error, TypeError):
        return {}
