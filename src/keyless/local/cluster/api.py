"""What every handler of the API needs: the store, the catalogues, the judges and the time."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from keyless.local.cluster.admission import Admission
from keyless.local.cluster.authorization import Authorizer
from keyless.local.cluster.catalogue import Catalogues
from keyless.local.cluster.issuers import Issuers
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.store import Store

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so no words, as in Kubernetes


@dataclass(frozen=True, slots=True)
class Api:
    """The collaborators of the handlers."""

    settings: ClusterSettings
    store: Store
    catalogues: Catalogues
    issuers: Issuers
    authorizer: Authorizer
    admission: Admission

    def now(self) -> datetime:
        """The time."""
        return self.settings.now()

    def timestamp(self) -> str:
        """The time as objects carry it."""
        return timestamp(self.settings.now())


def timestamp(moment: datetime) -> str:
    """RFC 3339 to the second, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """A random uid."""
    return str(uuid.uuid4())


def name_suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(length))
