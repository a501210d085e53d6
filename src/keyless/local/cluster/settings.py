"""What the cluster is told at its start."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """``server_url`` is the root as clients see it (``https://127.0.0.1:PORT``); ``now`` tells the time in UTC.

    The admin token is ``kubernetes-admin`` in every cluster, the node token ``system:node:<node_name>`` in the host
    cluster; the kubelet token is what this server shows to a node's kubelet when it asks for logs. ``migrate`` brings a
    part of the state forward and refuses a newer one; without it the tables are only made. ``token_review_url`` is the
    authenticator of AWS's bearer tokens; without it there are none.
    """

    database: sqlite3.Connection
    server_url: str
    admin_token: str = field(repr=False)
    kubelet_token: str = field(repr=False)
    ca_pem: str
    now: Callable[[], datetime]
    host: str = "keyless"
    node_token: str = field(default="", repr=False)
    node_name: str = "local-node"
    token_review_url: str = ""
    migrate: Callable[[str, Sequence[str]], None] | None = None
