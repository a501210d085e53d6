"""How large a volume is, and how much of it etcd may take. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

from keyless.kube import KubeObject

_SHAPE = re.compile(r"([0-9]{1,24}(?:\.[0-9]{1,24})?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|)", re.ASCII)
_UNITS = {"": Fraction(1), "m": Fraction(1, 1000)}
_UNITS |= {unit: Fraction(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
_UNITS |= {f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
MOST = 8 * 1024**3
"""etcd warns of more."""
LEAST = 16 * 1024**2
"""An empty control plane takes a few MiB; with less nothing would ever be ready."""


def bytes_of(text: str) -> int | None:
    """A Kubernetes quantity in bytes; None where it is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    found = _SHAPE.fullmatch(text)
    return int(Fraction(found[1]) * _UNITS[found[2]]) if found else None


def quota_bytes(size: str, claim: KubeObject | None) -> int:
    """What etcd refuses to grow beyond: half of its volume. The log and, while it makes room, a copy take the rest.

    ``size`` is what the values say, ``claim`` the volume where there is one. One that grows counts when it has grown:
    until then a file of that length would fill the disk, and end etcd instead of refusing a write.
    """
    spec, status = (claim or {}).get("spec") or {}, (claim or {}).get("status") or {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", size)
    texts = (asked, (status.get("capacity") or {}).get("storage", asked))
    sizes = [found for text in texts if (found := bytes_of(str(text))) is not None]
    return min(max(min(sizes, default=0) // 2, LEAST), MOST)


def told(size: int) -> str:
    """Bytes as a person reads them."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
