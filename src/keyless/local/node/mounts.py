"""What is mounted where in a container. Pure.

Where the system gives a process a view of its own, a mount is a bind mount. Where it does not, every mention of a mount
path in the environment and the arguments is replaced by the real folder (``rewritten``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, "Tree"]


@dataclass(frozen=True, slots=True)
class Bind:
    """``source`` (a real path) appears at ``path``."""

    path: str
    source: str
    read_only: bool = False


def binds(container: Mapping[str, Any], folders: Mapping[str, str]) -> tuple[Bind, ...]:
    """The mounts of a container; ``folders`` tells the real folder of each volume."""
    found = []
    for mount in container.get("volumeMounts") or ():
        source = folders.get(mount["name"])
        if source is None:
            continue
        sub = str(mount.get("subPath") or "").strip("/")
        path = "/" + mount["mountPath"].strip("/")
        found.append(Bind(path, f"{source}/{sub}" if sub else source, read_only=bool(mount.get("readOnly"))))
    return tuple(found)


def skeleton(paths: Iterable[str]) -> Tree:
    """The folders above the mount paths as a tree whose leaves are the mounts; mounts inside mounts are left out."""
    tree: Tree = {}
    ends: set[str] = set()
    for path in sorted(paths, key=lambda path: path.count("/")):
        parts = path.strip("/").split("/")
        if any("/" + "/".join(parts[:length]) in ends for length in range(1, len(parts))):
            continue
        node = tree
        for part in parts:
            node = node.setdefault(part, {})
        ends.add(path)
    return tree


def nested(all_binds: Sequence[Bind]) -> list[Bind]:
    """The mounts that lie inside another mount, outer ones first."""
    inner = [b for b in all_binds if any(b.path.startswith(other.path + "/") for other in all_binds)]
    return sorted(inner, key=lambda bind: bind.path.count("/"))


def rewritten(text: str, all_binds: Sequence[Bind]) -> str:
    """``text`` with each mount path in it replaced by the real one; a longer name that only begins alike is left."""
    for bind in sorted(all_binds, key=lambda bind: -len(bind.path)):
        text = _replaced(text, bind.path, bind.source)
    return text


def _replaced(text: str, path: str, source: str) -> str:
    pieces = text.split(path)
    result = pieces[0]
    for piece in pieces[1:]:
        ends_here = not piece or not (piece[0].isalnum() or piece[0] in "-_.")
        begins_here = not result or not (result[-1].isalnum() or result[-1] in "-_./")
        result += (source if ends_here and begins_here else path) + piece
    return result
