"""Put one context into a kubeconfig file, and lose nothing that is there.

What is not touched keeps its words and its style: the file is changed as YAML's own nodes, and nothing in it is read as
a number or a date. Comments go, as with kubectl. The file is locked as kubectl locks it, and replaced as a whole.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from keyless.api import Permanent

EXTENSION = "keyless.dev"
"""In a context that was put there by us: by which kubeconfig and context its host is reached."""
_SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster, a user and a context, each called ``name``."""

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    host: Mapping[str, str] = field(default_factory=dict)
    """What is remembered of the host: ``kubeconfig``, ``context`` and ``controlPlane``."""

    def sections(self) -> dict[str, Mapping[str, Any]]:
        """By section what stands there under the name."""
        extension = {"name": EXTENSION, "extension": dict(self.host)}
        context = {"cluster": self.name, "user": self.name, "extensions": [extension]}
        return {"clusters": self.cluster, "users": self.user, "contexts": context}


def document_of(entry: Entry) -> dict[str, Any]:
    """A kubeconfig with this context alone."""
    lists = {
        section: [{"name": entry.name, _SECTIONS[section]: dict(content)}]
        for section, content in entry.sections().items()
    }
    return {"apiVersion": "v1", "kind": "Config", **lists, "current-context": entry.name}


def merged(text: str, entry: Entry, *, subject: str = "kubeconfig") -> str:
    """``text`` with the context in it, and current; one of its name that is another's is not written over."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        # A YAML error quotes the line, which may hold a token.
        raise Permanent(f"{subject}: expected YAML, found what cannot be read ({type(error).__name__})") from None
    if root is None:
        return str(yaml.safe_dump(document_of(entry), sort_keys=False))
    if not isinstance(root, yaml.MappingNode):
        raise Permanent(f"{subject}: expected a mapping with clusters, users and contexts")
    for word in ("apiVersion", "kind"):
        if _value(root, word) is None:
            _set(root, word, document_of(entry)[word])
    _require_ours(root, entry, subject)
    for section, content in entry.sections().items():
        _put(root, section, {"name": entry.name, _SECTIONS[section]: dict(content)}, subject)
    _set(root, "current-context", entry.name)
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True, width=4096))


def merge_into(path: Path, entry: Entry) -> None:
    """Write the context into a file that only its owner can read; raises ``Permanent`` where that cannot be done."""
    target = Path(os.path.realpath(path))
    _require_regular(path, target)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target):
            before = target.read_text(encoding="utf-8") if target.exists() else ""
            replace_file(target, merged(before, entry, subject=str(path)))
    except UnicodeDecodeError:
        raise Permanent(f"{path}: expected text in UTF-8") from None
    except OSError as error:
        raise Permanent(f"{path}: cannot be written: {error.strerror}; --file names another") from error


def _require_regular(path: Path, target: Path) -> None:
    """A rename over /dev/null would take the device from the whole machine, and a pipe is never read to its end."""
    try:
        mode = target.stat().st_mode
    except OSError:
        # What cannot be looked at is told by the write itself, with its reason.
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Permanent(f"{path}: expected a regular file, found a device, pipe or socket; --print writes to stdout")


def replace_file(path: Path, text: str) -> None:
    """Write a file of mode 0600 as a whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """As ``kubectl config`` does it: who comes second is told, and neither's change is lost."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Permanent(f"{path} is being written by another program: {lock} exists; try again, or remove it") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _require_ours(root: yaml.MappingNode, entry: Entry, subject: str) -> None:
    """A context of that name was put there for the same control plane, and without one nothing has the name."""
    there = {section: found for section in _SECTIONS if (found := _named(root, section, entry.name)) is not None}
    context = there.get("contexts")
    if there and (context is None or not _is_same(context, entry)):
        raise Permanent(
            f"{subject}: {entry.name!r} is another's in {', '.join(there)}: expected none, or that of this control "
            "plane and host; --name gives another name"
        )


def _named(root: yaml.MappingNode, section: str, name: str) -> yaml.MappingNode | None:
    held = _value(root, section)
    for each in held.value if isinstance(held, yaml.SequenceNode) else ():
        found = _value(each, "name") if isinstance(each, yaml.MappingNode) else None
        if isinstance(found, yaml.ScalarNode) and found.value == name:
            return each  # type: ignore[no-any-return]  # a mapping, as was just seen
    return None


def _put(root: yaml.MappingNode, section: str, content: dict[str, Any], subject: str) -> None:
    held = _value(root, section)
    if held is None or (isinstance(held, yaml.ScalarNode) and held.tag == "tag:yaml.org,2002:null"):
        _set(root, section, [content])
        return
    if not isinstance(held, yaml.SequenceNode):
        raise Permanent(f"{subject}: {section}: expected a list")
    if not all(isinstance(each, yaml.MappingNode) for each in held.value):
        # kubectl reads no such file at all, so that the context would be of no use in it.
        raise Permanent(f"{subject}: {section}: expected a list of mappings with a name each")
    former = _named(root, section, content["name"])
    if former is None:
        held.value.append(_node(content))
    else:
        held.value[:] = [_node(content) if each is former else each for each in held.value]


def _is_same(node: yaml.MappingNode, entry: Entry) -> bool:
    """Whether a context was put there for the same control plane of the same host."""
    document = yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))
    return host_of(document.get("context") or {}) == dict(entry.host)


def host_of(context: Mapping[str, Any]) -> dict[str, str]:
    """What a context that was put there by us remembers of its host; empty: it was not."""
    for each in context.get("extensions") or ():
        if isinstance(each, dict) and each.get("name") == EXTENSION and isinstance(each.get("extension"), dict):
            return {str(key): str(value) for key, value in each["extension"].items()}
    return {}


def _value(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _set(node: yaml.MappingNode, key: str, content: Any) -> None:
    made = _node(content)
    for place, (name, _) in enumerate(node.value):
        if name.value == key:
            node.value[place] = (name, made)
            return
    node.value.append((_node(key), made))


def _node(content: Any) -> yaml.Node:
    made = yaml.compose(yaml.safe_dump(content, sort_keys=False, width=4096), Loader=yaml.SafeLoader)
    assert made is not None
    return made
