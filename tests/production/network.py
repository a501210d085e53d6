"""The network of the one node, from which nothing reaches another machine.

A bridge of its own carries the node's address. Nothing is forwarded, pods have routes to services and the node and no
default route, and what kube-proxy does not translate dies on the bridge.
"""

from __future__ import annotations

import json
from pathlib import Path

from production.parts import said, succeeds

BRIDGE, PODS_BRIDGE = "k0", "cni0"
ADDRESS, AGENT = "10.99.0.1", "169.254.170.23"
SERVICES, PODS = "10.0.0.0/16", "10.88.0.0/16"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


class Network:
    """Made by ``up``; ``down`` leaves the machine as it was."""

    def __init__(self, folder: Path) -> None:
        self.cni = folder / "cni"
        self._forwarded = _FORWARD.read_text()

    def up(self) -> None:
        """Make the bridge, and write what the CNI plugins read."""
        said("ip", "link", "add", BRIDGE, "type", "bridge")
        for address in (ADDRESS, AGENT):
            said("ip", "address", "add", f"{address}/32", "dev", BRIDGE)
        said("ip", "link", "set", BRIDGE, "up")
        _FORWARD.write_text("0")
        said("ip", "route", "add", SERVICES, "dev", BRIDGE, "src", ADDRESS)
        self.cni.mkdir()
        ipam = {
            "type": "host-local",
            "dataDir": str(self.cni / "addresses"),
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": to} for to in (SERVICES, f"{ADDRESS}/32", f"{AGENT}/32")],
        }
        bridge = {"type": "bridge", "bridge": PODS_BRIDGE, "isGateway": True, "ipMasq": False, "ipam": ipam}
        plugins = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
        (self.cni / "10-pods.conflist").write_text(json.dumps(plugins))

    def down(self) -> None:
        """Remove what was made; what is gone already is no fault."""
        for family in ("ip", "ip6"):
            succeeds("nft", "delete", "table", family, "kube-proxy")
        succeeds("ip", "route", "del", SERVICES)
        # A pod's end of its link lives as long as its namespace, and that may outlive the node.
        ends = Path(f"/sys/class/net/{PODS_BRIDGE}/brif")
        for link in [one.name for one in ends.iterdir()] if ends.exists() else ():
            succeeds("ip", "link", "del", link)
        for bridge in (BRIDGE, PODS_BRIDGE):
            succeeds("ip", "link", "del", bridge)
        # The CNI plugin turns forwarding on by itself where it makes a gateway.
        _FORWARD.write_text(self._forwarded)
