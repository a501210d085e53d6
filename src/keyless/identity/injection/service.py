"""The webhook as a process: informers, two listeners, nothing decided here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from keyless.api import Permanent
from keyless.aws import AWS_FAILURES, Session, caller_identity
from keyless.identity.injection.app import Webhook
from keyless.identity.injection.directory import AssociationFile, AssociationMap, Directory
from keyless.identity.injection.model import Account
from keyless.identity.injection.settings import Settings
from keyless.kube import Event, Informer, Kube, connect, keep_in_touch
from keyless.kube.resources import CONFIGMAPS, SERVICEACCOUNTS
from keyless.serving import Tls, bind, serve
from keyless.tasks import Tasks

if TYPE_CHECKING:
    from keyless.identity.certificates import Keeper
    from keyless.identity.injection.trusting import Trusts

CONFIG_MAP = "pod-identity-webhook"
log = structlog.get_logger()


class KubeServiceAccounts:
    """Service accounts through an informer and, on a miss, a GET."""

    def __init__(self, kube: Kube, informer: Informer) -> None:
        self._kube, self._informer = kube, informer

    def cached(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return what the informer holds."""
        return self._informer.get(name, namespace)

    async def fetch(self, namespace: str, name: str) -> dict[str, Any]:
        """Ask the API server."""
        return await self._kube.get(SERVICEACCOUNTS, name, namespace)


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled; the webhook port opens once the service accounts are known."""
    account = await _account(environ) if settings.compose_role_arn else None
    async with connect(environ) as kube:
        trusts = await _trusts(kube, environ) if settings.warn_of_trust else None
        await serve_webhook(settings, kube, account, trusts)


async def _trusts(kube: Kube, environ: Mapping[str, str]) -> Trusts:
    """Signed by the webhook's own identity; the issuer is what the API server says of its tokens."""
    # The policy engine is for those who ask for warnings: the others save its memory.
    from keyless.identity.injection.trusting import Trusts

    told = await kube.request("GET", "/.well-known/openid-configuration")
    issuer = str(told.get("issuer", "")) if isinstance(told, dict) else ""
    host, slash, path = issuer.partition("://")[2].partition("/")
    # IAM leaves the port out of ARNs and condition keys.
    return Trusts(Session.from_environment(environ).call, f"{host.partition(':')[0]}{slash}{path}")


async def serve_webhook(
    settings: Settings, kube: Kube, account: Account | None = None, trusts: Trusts | None = None
) -> None:
    """Serve for the cluster behind ``kube`` until cancelled."""
    async with Tasks() as tasks:
        accounts = Informer(kube, SERVICEACCOUNTS, metadata_only=True)
        associations: AssociationFile | AssociationMap
        if settings.container_credentials_config_map:
            associations = AssociationMap()
            tasks.create_task(_follow_associations(kube, associations, place_of(settings)), name="associations")
        else:
            associations = AssociationFile(settings.watch_container_credentials_config)
        directory = Directory(
            KubeServiceAccounts(kube, accounts),
            associations,
            lookup_seconds=settings.service_account_lookup_seconds,
            account=account,
        )
        accounts.on_change(lambda event: directory.service_account_changed(*place_in(event)))
        webhook = Webhook(directory, settings, lambda: kube.contact.trouble or accounts.trouble(), trusts)
        keeper = keeper_of(settings, kube)
        # Sockets first: a port that is taken must fail the start, not surface later.
        sock = bind(settings.bind_host, settings.port)
        metrics = bind(settings.bind_host, settings.metrics_port) if settings.metrics_port >= 0 else None
        tasks.create_task(accounts.run(), name="serviceaccounts")
        tasks.create_task(keep_in_touch(kube), name="contact")
        if settings.watch_config_map:
            tasks.create_task(_follow_config_map(kube, directory, settings.namespace), name="configmap")
        if metrics:
            tasks.create_task(serve(webhook.metrics_app, metrics), name="metrics")
        await accounts.synced()
        if keeper:
            tasks.create_task(keeper.run(), name="certificate")
            await keeper.served()
        log.info("webhook ready", address=f"{settings.bind_host}:{sock.getsockname()[1]}")
        tasks.create_task(serve(webhook.app, sock, tls=Tls(settings.tls_cert, settings.tls_key)), name="webhook")


def keeper_of(settings: Settings, kube: Kube) -> Keeper | None:
    """Who looks after the certificate; None where its files are somebody else's. Raises ``Permanent``."""
    if not settings.certificate_secret:
        return None
    # What makes certificates is for those who ask for one: the others save its memory.
    from keyless.identity.certificates import Keeper, Place

    certificate, key = Path(settings.tls_cert), Path(settings.tls_key)
    if (certificate.name, key) != ("tls.crt", certificate.with_name("tls.key")):
        raise Permanent(
            f"--tls-cert {certificate} and --tls-key {key}: with --certificate-secret expected tls.crt and tls.key of "
            "one folder, which the webhook writes"
        )
    namespace, name = _namespaced("--certificate-secret", settings.certificate_secret, "a Secret")
    place = Place(namespace, name, settings.service_name, settings.service_name)
    return Keeper(kube, place, certificate.parent, now=lambda: datetime.now(UTC))


async def _follow_config_map(kube: Kube, directory: Directory, namespace: str) -> None:
    informer = Informer(kube, CONFIGMAPS, namespace=namespace, fields=f"metadata.name={CONFIG_MAP}")
    informer.on_change(lambda _event: directory.set_mapped_roles(informer.get(CONFIG_MAP, namespace)))
    await informer.run()


async def _follow_associations(kube: Kube, associations: AssociationMap, place: tuple[str, str]) -> None:
    namespace, name = place
    informer = Informer(kube, CONFIGMAPS, namespace=namespace, fields=f"metadata.name={name}")
    informer.on_change(lambda _event: associations.show(informer.get(name, namespace)))
    await informer.run()


def place_in(event: Event) -> tuple[str, str]:
    """Namespace and name of what an event is about."""
    metadata = event.object["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def place_of(settings: Settings) -> tuple[str, str]:
    """Namespace and name of the ConfigMap of associations; raises ``Permanent`` for anything else."""
    return _namespaced("--container-credentials-config-map", settings.container_credentials_config_map, "a ConfigMap")


def _namespaced(flag: str, value: str, what: str) -> tuple[str, str]:
    namespace, slash, name = value.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise Permanent(f"{flag} {value!r}: expected NAMESPACE/NAME of {what}")
    return namespace, name


async def _account(environ: Mapping[str, str]) -> Account:
    """The account of this node's role: role names are completed to ARNs of it."""
    try:
        caller = await caller_identity(Session.from_environment(environ))
    except AWS_FAILURES as error:
        raise Permanent(f"--compose-role-arn needs to know the AWS account: {error}") from error
    return Account(partition=caller.arn.split(":")[1], account=caller.account)
