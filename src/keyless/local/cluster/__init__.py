"""The Kubernetes API, served on loopback: the host cluster and a logical cluster for each control plane.

``Cluster.app`` is the ASGI application, ``Cluster.call`` the same stack without a socket, ``Cluster.store`` what
in-process controllers subscribe to.
"""

from keyless.local.cluster.cluster import Cluster
from keyless.local.cluster.messages import Answer
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.store import Change, Entry, Key, Store
from keyless.local.cluster.users import ANONYMOUS, SYSTEM, User

__all__ = [
    "ANONYMOUS",
    "SYSTEM",
    "Answer",
    "ApiError",
    "Change",
    "Cluster",
    "ClusterSettings",
    "Entry",
    "Key",
    "Store",
    "User",
]
