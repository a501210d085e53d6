"""The Helm release that ``keyless up`` leaves at the first start, as if someone had run ``helm install spaces``.

The guides say ``helm upgrade spaces spaces-helm-chart …``, which needs a release to upgrade. ``release.json`` is what
real helm wrote down for the chart with its default values (``make chart-record``); here it becomes the objects of the
manifest, marked as Helm marks its own, and the release Secret. Only the times are filled in. No Helm runs here.

Storage format: https://helm.sh/docs/topics/advanced/#storage-backends
"""

from keyless.local.boot.release.record import Release, installed

__all__ = ["Release", "installed"]
