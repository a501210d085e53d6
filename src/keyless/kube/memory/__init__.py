"""An API server in memory, for tests of everything that speaks through :class:`keyless.kube.Kube`.

::

    kube = MemoryKube()                                  # namespaces default and kube-system exist
    kube.put(CONTROLPLANES, {"metadata": {...}, "status": {...}})     # as is, status included
    kube.before = interrupt                              # called with each Request; may raise
    kube.admit = inject                                  # (operation, resource, object) -> object
    kube.answers["tokenreviews"] = lambda review: {...}  # objects that are answered and not stored
    kube.calls                                           # ["POST /api/v1/namespaces/default/pods", ...]

Kept: resourceVersion and conflicts, generateName, generation, finalizers, owners (cascade at once), namespaces that end
with their content, selectors, status apart from the rest, JSON, merge and server-side apply, watches with bookmarks,
initial events and 410; of Secrets also what a server refuses (type and ``immutable``, keys, labels, size) and who
manages which field. Left out: schemas and defaults of all else, authorization, graceful deletion of pods, controllers;
any resource of any group is served; strategic merge patches are merged as plain ones. It holds no secret: tokens are
words.
"""

from keyless.kube.memory.kube import MemoryKube

__all__ = ["MemoryKube"]
