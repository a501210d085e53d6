"""The controllers of the local cluster: what kube-controller-manager does for the kinds that Keyless serves.

::

    task = asyncio.create_task(run_controllers(cluster))     # one set for the host and every logical cluster

Inside each folder: ``plan`` decides (pure), ``controller`` gathers and applies. ``feeds`` says which change wakes whom,
``world`` is what a controller sees of one cluster.
"""

from keyless.local.cluster.controllers.service import run_controllers

__all__ = ["run_controllers"]
