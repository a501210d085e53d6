"""Runs pods as processes: a scheduler that binds them to this node and a kubelet that starts, probes and ends them.

It speaks to the API server through ``keyless.kube`` only, so it runs against any cluster. What it does not do: images
(an image is a local command, see ``images``), networks (a pod's address is a loopback address of its own), resources
limits, users.

    plan.py      which action for which container, from facts alone
    status.py    the status a kubelet would write, from the same facts
    worker.py    the loop of one pod: gather, ask the plan, act, write the status
    volumes/     what is mounted and how it stays current
    spawner.py   the small single-threaded process that all containers are children of
"""

from keyless.local.node.images import Image, ImageMap
from keyless.local.node.kubelet import Kubelet, NodeConfiguration

__all__ = ["Image", "ImageMap", "Kubelet", "NodeConfiguration"]
