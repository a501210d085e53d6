"""Carry out steps. Each may find that it was done already, or that its object is gone: both are fine."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from keyless.api.sealed_by import KmsKey
from keyless.kube import (
    AlreadyExists,
    ApiError,
    Conflict,
    Kube,
    KubeObject,
    NotFound,
    Unauthorized,
    Unreachable,
    record,
)
from keyless.kube.model import Propagation
from keyless.kube.resources import CONTROLPLANES, SECRETS
from keyless.serving.certificates import make_authority
from keyless.space.control_planes import authority, encrypting, tenant, tokens
from keyless.space.control_planes.model import (
    Apply,
    Claim,
    Create,
    DropCondition,
    Facts,
    IssueCertificates,
    IssueToken,
    Label,
    MakeKeys,
    Remove,
    Rewrite,
    Served,
    SetControllers,
    SetFinalizers,
    SetPauses,
    Side,
    Step,
    Tell,
    WriteAuthorities,
    WriteEncryption,
    WriteRing,
    Written,
)
from keyless.space.control_planes.tokens import Issued
from keyless.space.items import FIELD_MANAGER, Item, Key
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.authorities import Authority, authorities_item
from keyless.space.kubernetes.certificates import make_encryption_key
from keyless.space.kubernetes.names import certificates_key, restored_key
from keyless.space.kubernetes.ring import Held, ring_item
from keyless.space.settling import Applied, after_writing


class Hands:
    """The two API servers that steps act on; ``inside`` is None while the control plane's own is not served."""

    def __init__(
        self,
        host: Kube,
        inside: Kube | None,
        served: Served | None,
        applied: dict[tuple[Side, Key], Applied],
        rewritten: dict[Written, str] | None = None,
    ) -> None:
        self._host = host
        self._inside = inside
        self._served = served
        self._applied = applied
        """Outlives these hands: what is known of each object's last write."""
        self._rewritten = {} if rewritten is None else rewritten
        """Outlives them too: what came of writing a Secret inside again."""
        self.changed = False
        """Whether anything is another than before."""

    async def apply(self, step: Step, facts: Facts) -> None:
        """Do one step."""
        if isinstance(step, Apply):
            await self._write(step, facts)
            return
        if isinstance(step, Rewrite):
            # Nothing that a plan reads on the host is another after it: the next look comes in its time.
            await self._rewrite(step)
            return
        match step:
            case SetFinalizers(finalizers):
                await self._patch_control_plane(facts, {"finalizers": list(finalizers)})
            case Claim(control_plane_id, host_namespace):
                claimed = {"controlPlaneID": control_plane_id, "hostNamespace": host_namespace}
                await self._replace_status(facts, {**facts.status, **claimed})
            case SetPauses(pauses):
                await self._replace_status(facts, {**facts.status, "pauses": list(pauses)})
            case SetControllers(controllers):
                await self._replace_status(facts, {**facts.status, "controllers": list(controllers)})
            case DropCondition(kind):
                kept = [each for each in facts.status.get("conditions") or () if each["type"] != kind]
                await self._replace_status(facts, {**facts.status, "conditions": kept})
            case Tell(reason, message):
                await record(
                    self._host,
                    facts.control_plane,
                    type="Warning",
                    reason=reason,
                    message=message,
                    component=FIELD_MANAGER,
                )
            case IssueToken():
                await self._issue(step, facts)
            case MakeKeys() | IssueCertificates():
                await self._certify(step, facts)
            case WriteAuthorities():
                await self._authorize(step, facts)
            case WriteRing() | WriteEncryption():
                await self._encrypt(step, facts)
            case _:
                await self._object(step)
        self.changed = True

    async def _write(self, step: Apply, facts: Facts) -> None:
        """Server-side apply decides whether there is anything to change: it makes no new version where not."""
        wanted, place = step.item, (step.side, step.item.key)
        before = (facts.host if step.side == "host" else facts.tenant or {}).get(wanted.key)
        after = await self._side(step.side).apply(wanted.resource, wanted.object, field_manager=FIELD_MANAGER)
        known = self._applied[place] = after_writing(wanted, before, after, self._applied.get(place), facts.now)
        self.changed = self.changed or bool(known.at == facts.now and known.fields)

    async def _object(self, step: Create | Label | Remove) -> None:
        match step:
            case Create(item, side):
                try:
                    await self._side(side).create(item.resource, item.object)
                except AlreadyExists:
                    return  # whose it is, the next look tells
            case Label(key, labels, resource_version, side):
                patch: KubeObject = {"metadata": {"labels": dict(labels), "resourceVersion": resource_version}}
                await self._side(side).patch(key.resource, key.name, patch, key.namespace or None)
            case Remove(key, side, with_dependents):
                # What we take away nobody changed back: that it has to be written anew is our own mind's change.
                self._applied.pop((side, key), None)
                how: Propagation = "Foreground" if with_dependents else "Background"
                try:
                    await self._side(side).delete(key.resource, key.name, key.namespace or None, propagation=how)
                except NotFound:
                    return

    async def _issue(self, step: IssueToken, facts: Facts) -> None:
        assert self._inside is not None
        assert self._served is not None
        assert facts.tenant is not None
        account = facts.tenant[tenant.account_key(step.service_account)]
        status = await self._inside.token(
            step.service_account,
            tenant.SYSTEM_NAMESPACE,
            audiences=(),
            expiration_seconds=step.lifetime_seconds,
        )
        issued = Issued(status.token, account["metadata"]["uid"], facts.now, status.expires_at)
        written = tokens.secret_item(
            step.secret,
            replace(self._served, server=step.server) if step.server else self._served,
            issued,
            owners=step.owners,
            kubeconfig=step.kubeconfig,
            labels=step.labels,
            made_from=step.made_from,
        )
        await self._host.apply(written.resource, written.object, field_manager=FIELD_MANAGER)

    async def _patch_control_plane(self, facts: Facts, metadata: KubeObject) -> None:
        known = facts.control_plane["metadata"]
        patch: KubeObject = {"metadata": {**metadata, "resourceVersion": known["resourceVersion"]}}
        try:
            await self._host.patch(CONTROLPLANES, known["name"], patch, known["namespace"])
        except NotFound:
            return

    async def _certify(self, step: MakeKeys | IssueCertificates, facts: Facts) -> None:
        """Keys are created, never written over: two operators at once must not each have their own."""
        place = facts.place
        assert place is not None
        if isinstance(step, MakeKeys):
            made = await asyncio.to_thread(issuing.keys_item, place, facts.now, facts.host.get(restored_key(place)))
            with contextlib.suppress(AlreadyExists):
                await self._host.create(made.resource, made.object)
            return
        keys = authority.signing(facts.host, place)
        assert keys is not None
        signed = await asyncio.to_thread(
            issuing.certificate_items,
            place,
            keys,
            step.addresses,
            facts.now,
            encryption=encrypting.config(facts.host, place),
            backup=step.backup,
        )
        for each in signed:
            await self._host.apply(each.resource, each.object, field_manager=FIELD_MANAGER)

    async def _authorize(self, step: WriteAuthorities, facts: Facts) -> None:
        """With the version that was read: of two operators one wins, the other reads again."""
        place, found = facts.place, step.authorities
        assert place is not None
        if step.new:
            # A name of its own: two of one name are told apart by their keys alone, which not everybody looks at.
            name = f"control plane {place.control_plane_id} {facts.now:%y%m%d%H%M}"
            pair = await asyncio.to_thread(make_authority, name, facts.now, step.life)
            new = Authority(pair.certificate, pair.key)
            found = found.adding(new, facts.now) if step.new == "beside" else found.led_by(new, facts.now, step.why)
        await self._store(authorities_item(place, found), step.version)

    async def _store(self, made: Item, version: str) -> None:
        """As patches: the operator has no right to replace Secrets."""
        if not version:
            with contextlib.suppress(AlreadyExists):
                await self._host.create(made.resource, made.object)
            return
        metadata = {**made.object["metadata"], "resourceVersion": version}
        changed: KubeObject = {"metadata": metadata, "data": made.object["data"]}
        await self._host.patch(made.resource, made.key.name, changed, made.key.namespace)

    async def _encrypt(self, step: WriteRing | WriteEncryption, facts: Facts) -> None:
        """Each with the version that was read: of two operators one wins, the other reads again."""
        place = facts.place
        assert place is not None
        if isinstance(step, WriteEncryption):
            key = certificates_key(place)
            patch = issuing.with_config(facts.host[key], step.config)
            await self._host.patch(SECRETS, key.name, patch, key.namespace)
            return
        ring = step.ring
        if step.new:
            sealer = (
                KmsKey(step.new, step.kms, place.control_plane_id) if step.kms else (step.new, make_encryption_key())
            )
            ring = ring.adding(Held.from_sealer(sealer, facts.now), step.asked)
        await self._store(ring_item(place, ring), step.version)
        if step.version and ring.stage != "rewriting":
            self._rewritten.clear()

    async def _rewrite(self, step: Rewrite) -> None:
        """One after the other: kube-apiserver lets the operator pass before everybody, and tenants write too.

        An empty patch: kube-apiserver writes what is encrypted with another key than the first, and nothing else.
        """
        assert self._inside is not None
        for each in step.secrets:
            # Only that very version: whoever wrote it meanwhile encrypted it with the new key.
            patch: KubeObject = {"metadata": {"uid": each.uid, "resourceVersion": each.version}}
            name, namespace = each.name.name, each.name.namespace
            try:
                await self._inside.patch(SECRETS, name, patch, namespace, metadata_only=True)
            except (Conflict, NotFound):
                self._rewritten.pop(each, None)
            except (Unauthorized, Unreachable):
                raise
            except ApiError as error:
                # Its words may quote the Secret: a webhook says what it likes.
                self._rewritten[each] = f"{error.code} {type(error).__name__}"
            else:
                self._rewritten[each] = ""

    async def _replace_status(self, facts: Facts, status: KubeObject) -> None:
        """A whole status with the version it was read in: of two operators one wins, the other reads again."""
        await self._host.replace(CONTROLPLANES, {**facts.control_plane, "status": status}, subresource="status")

    def _side(self, side: Side) -> Kube:
        if side == "host":
            return self._host
        assert self._inside is not None
        return self._inside
