"""The cloud put together: services on one gateway, the metadata endpoint, and what exists before anyone comes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from keyless.local.cloud.authenticate import Authenticator
from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.cloudformation import CloudFormation
from keyless.local.cloud.cloudformation.actor import Actors
from keyless.local.cloud.database import Database, Migrate
from keyless.local.cloud.eks import ClusterFacts, Eks, Kubernetes, Projection, TokenReviews
from keyless.local.cloud.eks.agent import AgentPlace
from keyless.local.cloud.eks_auth import EksAuth
from keyless.local.cloud.gateway import Gateway, Realm
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.iam import Iam
from keyless.local.cloud.iam.model import User
from keyless.local.cloud.iam.users import new_access_key
from keyless.local.cloud.iam_toolbox import Toolbox
from keyless.local.cloud.imds import Imds
from keyless.local.cloud.kms import Kms
from keyless.local.cloud.onbehalf import OnBehalf
from keyless.local.cloud.s3 import S3
from keyless.local.cloud.secretsmanager import SecretsManager
from keyless.local.cloud.service import Service
from keyless.local.cloud.sessions import Credentials, Sessions, new_id
from keyless.local.cloud.ssm import ParameterStore
from keyless.local.cloud.sts import IssuerKeys, Sts
from keyless.local.cloud.sts.fetching import HttpsFetcher
from keyless.local.cloud.sts.issuers import Fetch
from keyless.local.cloud.sts.revocation import Revocation

ADMIN = "keyless-admin"


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What the cloud is told. ``server_url``: the Kubernetes API server's, without a path."""

    database: sqlite3.Connection
    kubernetes: Kubernetes
    server_url: str
    ca_pem: str
    account: str = "111122223333"
    region: str = "us-west-2"
    cluster_name: str = "keyless"
    #: where it is not the built-in cluster's own, ``<server_url>/clusters/<cluster_name>``
    issuer: str = ""
    #: authorities of token issuers elsewhere, PEM; the cluster's own needs no mention
    issuer_ca_pem: str = ""
    #: names and addresses that requests may be sent to, besides loopback's
    hosts: tuple[str, ...] = ()
    #: whether a fresh cloud runs the pod identity agent in the cluster, as on EKS with its addon
    looks_after_agent: bool = True
    #: where the pod identity agent listens, and what it is told
    agent: AgentPlace = field(default_factory=AgentPlace)
    #: whether the API server asks the cloud who a bearer is, as EKS's asks IAM
    authenticates: bool = True
    propagation_delay_seconds: float = 1.0
    #: refuse at STS what AWS takes: good tokens of pods that are gone
    revoke_tokens_of_deleted_pods: bool = False
    now: Callable[[], float] = time.time
    #: wraps the material of KMS's keys; without it (tests) one is kept in the database
    root_key: bytes = b""
    #: the state's ``migrate``; without it (tests) the cloud keeps its own record of versions
    migrate: Migrate | None = None


class Cloud:
    """One account in one region. ``run()`` keeps the cluster at what EKS says; the rest answers requests."""

    def __init__(self, settings: CloudSettings, *, fetch: Fetch | None = None) -> None:
        """``fetch`` gets the documents of token issuers; over HTTPS unless told otherwise."""
        self.settings = settings
        self.database = Database(settings.database, settings.migrate)
        self.directory = Directory(
            self.database,
            account=settings.account,
            propagation_delay_seconds=settings.propagation_delay_seconds,
            now=settings.now,
        )
        self._make_admin()
        self._fetcher = HttpsFetcher(f"{settings.ca_pem}\n{settings.issuer_ca_pem}".strip())
        self._projection = Projection(
            self.database, settings.kubernetes, settings.cluster_name, settings.agent, settings.authenticates
        )
        self._projection.look_after_agent(settings.looks_after_agent)
        sessions, authoriser = Sessions(self.database), Authoriser(self.directory)
        authenticator = Authenticator(self.directory, sessions)
        issuers = IssuerKeys(fetch or self._fetcher, settings.now)
        sts = Sts(self.directory, authoriser, sessions, issuers, revocation=_revocation(settings))
        self.imds_app = Imds(
            self.database,
            self.directory,
            sts.minter,
            region=settings.region,
            now=settings.now,
            hosts=settings.hosts,
        )
        on_behalf = OnBehalf(
            lambda: self.app.services, self.database, authoriser, account=settings.account, now=settings.now
        )
        actors = Actors(self.directory, authenticator, authoriser, sts.minter)
        self.cloudformation = CloudFormation(self.database, actors, on_behalf, region=settings.region, now=settings.now)
        self.app = Gateway(
            self._services(sts, authoriser, authenticator),
            Realm(settings.account, settings.region, settings.now, settings.hosts),
            database=self.database,
            authenticator=authenticator,
            authoriser=authoriser,
        )
        self.directory.more_delay_seconds = self.app.faults.propagation_seconds

    def _services(self, sts: Sts, authoriser: Authoriser, authenticator: Authenticator) -> tuple[Service, ...]:
        """Every service there is. A new one needs a line here and nothing else."""
        settings, database = self.settings, self.database
        facts = cluster_facts(settings)
        eks = Eks(database, facts, self.directory, projection=self._projection, now=settings.now())
        eks.entries.make_creator_admin(f"arn:aws:iam::{settings.account}:user/{ADMIN}", settings.now())
        self.token_review_app = TokenReviews(
            eks.entries, authenticator, self._projection, cluster_name=facts.name, now=settings.now
        )
        eks_auth = EksAuth(
            facts,
            eks.associations,
            settings.kubernetes,
            directory=self.directory,
            authoriser=authoriser,
            authenticator=authenticator,
            minter=sts.minter,
        )
        kms = Kms(database, settings.root_key)
        return (
            sts.service(),
            Iam(self.directory, facts.issuer).service(),
            Toolbox(authoriser.denials).service(),
            eks.service(),
            eks_auth.service(),
            self.cloudformation.service(),
            S3(database, kms.for_services).service(),
            SecretsManager(database, kms.for_services).service(),
            ParameterStore(database, kms.for_services).service(),
            kms.service(),
        )

    async def run(self) -> None:
        """Finish the stacks that an earlier process left; keep the cluster's view of EKS current, until cancelled."""
        await self.cloudformation.engine.resume()
        await self._projection.run()

    async def reconcile(self) -> None:
        """Bring the cluster's view up to date once; raises when the cluster cannot be reached."""
        await self._projection.reconcile()

    def admin_credentials(self) -> Credentials:
        """The access key of the administrator that the first start makes."""
        key = self.directory.access_keys(ADMIN)[0]
        return Credentials(key.id, key.secret, "", 0.0)

    def _make_admin(self) -> None:
        """The administrator has a user and a key at every start: without them nobody could get in again."""
        now = self.settings.now()
        with self.database.transaction():
            if self.directory.user(ADMIN) is None:
                user = User(
                    name=ADMIN,
                    id=new_id("AIDA"),
                    arn=f"arn:aws:iam::{self.settings.account}:user/{ADMIN}",
                    path="/",
                    created_at=now,
                    attached=("arn:aws:iam::aws:policy/AdministratorAccess",),
                )
                self.directory.save(user, at_once=True)
            if not self.directory.access_keys(ADMIN):
                self.directory.save_access_key(new_access_key(ADMIN, now))

    async def aclose(self) -> None:
        """Close connections; stacks in the making wait for the next start."""
        await self.cloudformation.engine.aclose()
        await self._fetcher.aclose()


def _revocation(settings: CloudSettings) -> Revocation | None:
    if not settings.revoke_tokens_of_deleted_pods:
        return None
    return Revocation(settings.kubernetes, cluster_facts(settings).issuer)


def cluster_facts(settings: CloudSettings) -> ClusterFacts:
    """The cluster as EKS describes it."""
    return ClusterFacts(
        name=settings.cluster_name,
        account=settings.account,
        region=settings.region,
        endpoint=settings.server_url,
        issuer=settings.issuer or f"{settings.server_url}/clusters/{settings.cluster_name}",
        ca_pem=settings.ca_pem,
    )
