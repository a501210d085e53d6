"""What ``keyless up`` is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyless.local.node import Image

CLUSTER_NAME = "keyless"
NODE_NAME = "local-node"
REGION = "us-west-2"
ACCOUNT = "111122223333"
IMAGE = "keyless/keyless:0.1.0"
GROUP = "default"
CONTROL_PLANE = "ctp1"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """``images`` must hold ours; ``preload`` names the modules that its containers share."""

    state: Path
    images: Mapping[str, Image]
    preload: tuple[str, ...] = ()
    propagation_delay_seconds: float = 1.0
    revoke_tokens_of_deleted_pods: bool = False
    region: str = REGION
    account: str = ACCOUNT
    environ: Mapping[str, str] = field(default_factory=dict)
