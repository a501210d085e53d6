"""Serve the local AWS over TLS until cancelled; all that it keeps lies in the state folder.

What a client needs is written there: ``ca.crt`` (the endpoint's authority) and ``access.json`` (the administrator's
access key, for the folder's owner alone). STS asks issuers without credentials, as AWS does: an API server that is its
own issuer must let it, by a ClusterRoleBinding of system:service-account-issuer-discovery to system:unauthenticated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from keyless.api import Permanent
from keyless.kube import Kube, KubeObject, Resource, connect
from keyless.local.beside.access import publish_access, write_access
from keyless.local.beside.eks import agent_place, webhook_objects
from keyless.local.beside.hook import hook_app, hook_names, hook_objects
from keyless.local.beside.place import Place, names_of, place_of
from keyless.local.beside.policy import policy_objects
from keyless.local.beside.settings import Settings
from keyless.local.beside.telling import WAYS, Way, keep, remove_other, way_of
from keyless.local.cloud import Cloud, CloudSettings, serve
from keyless.local.cloud.kms import root_key_in
from keyless.local.state import Authority, State
from keyless.tasks import Tasks

FIELD_MANAGER = "keyless-cloud"
LOOPBACK = ("127.0.0.1", "localhost")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_DISCOVERY = "/.well-known/openid-configuration"
log = structlog.get_logger("keyless.cloud")


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled. Raises ``KeylessError`` for settings, a folder or a port that cannot be used."""
    check(settings)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(connect(environ))
        place = await place_of(settings, kube)
        way = await way_of(settings, kube, place)
        issuer = settings.issuer or await issuer_of(kube)
        state = State.open(Path(settings.state))
        stack.callback(state.close)
        cloud = Cloud(cloud_settings(settings, state, kube, issuer, place))
        stack.push_async_callback(cloud.aclose)
        write_access(state, cloud, settings)
        certificate = state.authority.server_certificate((*LOOPBACK, *place.names))
        serving = await stack.enter_async_context(serve(cloud.app, settings.port, settings.bind_host, certificate))
        if settings.metadata_port >= 0:
            await stack.enter_async_context(serve(cloud.imds_app, settings.metadata_port, settings.bind_host))
        if way == "webhook":
            hook, names = (
                hook_app(place.environ, state.authority.ca_pem),
                (*LOOPBACK, *place.names, *hook_names(settings)),
            )
            shown = state.authority.server_certificate(names)
            await stack.enter_async_context(serve(hook, settings.webhook_port, settings.bind_host, shown))
        if settings.service:
            await publish_access(kube, state, cloud, settings, field_manager=FIELD_MANAGER)
        for res, obj in in_the_cluster(settings, place, state.authority, way):
            await kube.apply(res, obj, obj["metadata"].get("namespace"), field_manager=FIELD_MANAGER)
        if way:
            await remove_other(kube, way)
        log.info("cloud ready", address=serving.url, issuer=issuer, state=str(state.path), pods_told_by=way or "nobody")
        async with Tasks() as tasks:
            tasks.create_task(cloud.run(), name="cloud")
            if way:
                told = telling(settings, place, state.authority, way)
                tasks.create_task(keep(kube, told, field_manager=FIELD_MANAGER), name="telling")


def check(settings: Settings) -> None:
    """Raise ``Permanent`` for settings that no start could use."""
    if not _ACCOUNT.fullmatch(settings.account):
        raise Permanent(f"--account {settings.account!r}: expected an AWS account, 12 digits")
    if settings.issuer and urlsplit(settings.issuer).scheme != "https":
        raise Permanent(f"--issuer {settings.issuer!r}: expected a URL that begins with https://")
    if settings.told_by not in WAYS:
        raise Permanent(f"--told-by {settings.told_by!r}: expected one of {', '.join(WAYS)}")
    names_of(settings)


def in_the_cluster(
    settings: Settings, place: Place, authority: Authority, way: Way
) -> tuple[tuple[Resource, KubeObject], ...]:
    """What the cloud keeps in the cluster, in this order: EKS's part, then what tells pods of the cloud."""
    eks = webhook_objects(settings, authority) if settings.eks_image else ()
    return (*eks, *telling(settings, place, authority, way))


def telling(
    settings: Settings, place: Place, authority: Authority, way: Way
) -> tuple[tuple[Resource, KubeObject], ...]:
    """What tells pods of the cloud; nothing where they are told nothing."""
    if way == "policy":
        return policy_objects(place.environ, authority.ca_pem)
    return hook_objects(settings, authority.ca_pem) if way == "webhook" else ()


async def issuer_of(kube: Kube) -> str:
    """The issuer that the cluster names in its discovery document; raises ``Permanent`` where it names none."""
    answer: Any = await kube.request("GET", _DISCOVERY)
    document = json.loads(answer) if isinstance(answer, str) else answer
    issuer = document.get("issuer") if isinstance(document, dict) else None
    if not isinstance(issuer, str) or urlsplit(issuer).scheme != "https":
        raise Permanent(f"the cluster's {_DISCOVERY}: expected an issuer that begins with https://; set --issuer")
    return issuer


def cloud_settings(settings: Settings, state: State, kube: Kube, issuer: str, place: Place) -> CloudSettings:
    """What the cloud is told."""
    at = urlsplit(issuer)
    return CloudSettings(
        database=state.database,
        kubernetes=kube,
        server_url=settings.server_url or f"{at.scheme}://{at.netloc}",
        ca_pem=_text(settings.cluster_ca, "--cluster-ca"),
        issuer_ca_pem=_text(settings.issuer_ca, "--issuer-ca"),
        account=settings.account,
        region=settings.region,
        cluster_name=settings.cluster_name,
        issuer=issuer,
        hosts=place.names,
        # A cluster that somebody else runs has, or has not, an agent of its own: none is put there unasked.
        looks_after_agent=bool(settings.eks_image),
        agent=agent_place(settings, place, state.authority),
        # Nor does its API server ask us who EKS's users are.
        authenticates=False,
        propagation_delay_seconds=settings.propagation_delay_seconds,
        root_key=root_key_in(state.folder("kms")),
        migrate=state.migrate,
    )


def _text(path: str, flag: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{flag} {path}: expected a file of certificates in PEM, found {error}") from error
