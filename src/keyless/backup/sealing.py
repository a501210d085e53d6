"""Which key the Secrets in a snapshot are encrypted with, by the names in etcd's file. Pure.

A control plane's own keys are numbered in the order in which they were made: ``first`` or ``of-ID``, then ``of-ID.2``
and so on. What lies in etcd names its key (docs/reference/facts/encryption-at-rest.md). The kubelet brings a changed
file to each pod in its own time, so this pod may not have been told yet of the key that kube-apiserver writes with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"of-(?P<id>[a-z0-9-]{1,63}?)(?:\.(?P<number>[0-9]{1,9}))?", re.ASCII)
_SEALED = re.compile(rb"k8s:enc:(?:secretbox:v1|kms:v2):(of-[a-z0-9-]{1,63}\.[0-9]{1,9}):")
_LONGEST = 128
"""More than what the pattern takes at most, 98 bytes."""


def name_of(control_plane_id: str, number: int) -> str:
    """What a control plane's key is called, from its second one on."""
    return f"of-{control_plane_id}.{number}"


def number_of(name: str, control_plane_id: str) -> int:
    """Which key of a control plane's own it is, from 1; 0: of another, with which a snapshot of that was taken."""
    if name == "first":
        return 1
    found = _NAME.fullmatch(name)
    if found is None or found["id"] != control_plane_id:
        return 0
    return int(found["number"] or 1)


class Sealed:
    """Fed with one piece of a snapshot after the other; ``newest`` is the number of the newest key that is named."""

    def __init__(self, control_plane_id: str) -> None:
        self.newest = 0
        self._id = control_plane_id
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """A name may lie across two pieces: the end of one is looked at again with the next."""
        held = self._tail + piece
        for found in _SEALED.finditer(held):
            self.newest = max(self.newest, number_of(found[1].decode(), self._id))
        self._tail = held[-_LONGEST:]

    def is_opened_by(self, names: Iterable[str]) -> bool:
        """Whether no key is newer than those. Older ones stay in the file's unused pages long after they went."""
        return self.newest <= max((number_of(each, self._id) for each in names), default=0)
