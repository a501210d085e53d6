"""The cloud put together: services on one gateway, the metadata endpoint, and what exists before anyone comes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from keyless.kube import Kube
from keyless.local.cloud.authenticate import Authenticator
from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.database import Database, Migrate
from keyless.local.cloud.gateway import Gateway, Realm
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.iam import Iam
from keyless.local.cloud.iam.model import User
from keyless.local.cloud.iam.users import new_access_key
from keyless.local.cloud.kms import Keys, Kms
from keyless.local.cloud.s3 import S3
from keyless.local.cloud.secretsmanager import SecretsManager
from keyless.local.cloud.service import Service
from keyless.local.cloud.sessions import Credentials, Sessions, new_id
from keyless.local.cloud.ssm import ParameterStore
from keyless.local.cloud.sts import IssuerKeys, Sts
from keyless.local.cloud.sts.issuers import HttpsFetcher

ADMIN = "keyless-admin"


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What the cloud is told. ``server_url``: the Kubernetes API server's, without a path."""

    database: sqlite3.Connection
    kubernetes: Kube
    server_url: str
    ca_pem: str
    account: str = "111122223333"
    region: str = "us-west-2"
    cluster_name: str = "keyless"
    #: where it is not the built-in cluster's own, ``<server_url>/clusters/<cluster_name>``
    issuer: str = ""
    propagation_delay_seconds: float = 1.0
    now: Callable[[], float] = time.time
    #: the state's ``migrate``; without it (tests) the cloud keeps its own record of versions
    migrate: Migrate | None = None


class Cloud:
    """One account in one region."""

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings
        self.database = Database(settings.database, settings.migrate)
        self.directory = Directory(
            self.database,
            account=settings.account,
            propagation_delay_seconds=settings.propagation_delay_seconds,
            now=settings.now,
        )
        self._make_admin()
        self._sessions = Sessions(self.database)
        self._fetcher = HttpsFetcher(settings.ca_pem)
        authoriser = Authoriser(self.directory)
        authenticator = Authenticator(self.directory, self._sessions)
        self._sts = Sts(self.directory, authoriser, self._sessions, IssuerKeys(self._fetcher, settings.now))
        self.app = Gateway(
            self._services(),
            Realm(settings.account, settings.region, settings.now),
            database=self.database,
            authenticator=authenticator,
            authoriser=authoriser,
        )

    def _services(self) -> tuple[Service, ...]:
        """Every service there is. A new one needs a line here and nothing else."""
        keys = Keys(self.database)
        return (
            self._sts.service(),
            Iam(self.directory).service(),
            S3(self.database).service(),
            SecretsManager(self.database).service(),
            ParameterStore(self.database, keys).service(),
            Kms(keys).service(),
        )

    def admin_credentials(self) -> Credentials:
        """The access key of the administrator that the first start makes."""
        key = self.directory.access_keys(ADMIN)[0]
        return Credentials(key.id, key.secret, "", 0.0)

    def _make_admin(self) -> None:
        if self.directory.user(ADMIN):
            return
        account, now = self.settings.account, self.settings.now()
        user = User(
            name=ADMIN,
            id=new_id("AIDA"),
            arn=f"arn:aws:iam::{account}:user/{ADMIN}",
            path="/",
            created_at=now,
            attached=("arn:aws:iam::aws:policy/AdministratorAccess",),
        )
        with self.database.transaction():
            self.directory.save_user(user, at_once=True)
            self.directory.save_access_key(new_access_key(ADMIN, now))

    async def aclose(self) -> None:
        """Close connections."""
        await self._fetcher.aclose()
