"""A loopback address for each pod. Pure.

Linux answers on the whole of 127.0.0.0/8 without configuration. The first addresses are left to the host: its own
servers listen there.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection

FIRST = int(ipaddress.IPv4Address("127.16.0.1"))
SPAN = int(ipaddress.IPv4Address("127.255.255.254")) - FIRST + 1


def choose(pod_uid: str, taken: Collection[str]) -> str:
    """An address that no other pod of this node has: always the same for one uid, unless it is taken."""
    start = int.from_bytes(hashlib.sha256(pod_uid.encode()).digest()[:8], "big")
    for step in range(SPAN):
        address = str(ipaddress.IPv4Address(FIRST + (start + step) % SPAN))
        # A pod must not get an address that looks like a network's first or last: some programs refuse to bind it.
        if address not in taken and not address.endswith((".0", ".255")):
            return address
    raise AssertionError("fifteen million pods on one node")
