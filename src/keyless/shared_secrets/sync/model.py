"""An ExternalSecret's spec as values, with defaults applied here and never written back. Pure.

Fields: https://external-secrets.io/latest/api/externalsecret/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from keyless.kube import KubeObject
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.model import RemoteRef, Search
from keyless.shared_secrets.stores.resolution import SECRET_STORE, StoreRef
from keyless.shared_secrets.sync.windows import SyncWindows, windows_of

DEFAULT_INTERVAL_SECONDS = 3600.0
GENERATORS = ("Password", "UUID", "ECRAuthorizationToken")
Creation = Literal["Owner", "Orphan", "Merge", "None", "CreateOrMerge"]
Deletion = Literal["Retain", "Delete", "Merge"]


class SpecFault(ValueError):
    """The spec asks for what cannot be; the text names the field."""


@dataclass(frozen=True, slots=True)
class Source:
    """One remote reference with what is to happen to its value."""

    store: StoreRef
    remote: RemoteRef
    property: str = ""
    decoding: str = "None"
    conversion: str = "Default"
    fails_on_null_byte: bool = False


@dataclass(frozen=True, slots=True)
class DataItem:
    """``data[]``: one value under ``secret_key``."""

    secret_key: str
    source: Source


@dataclass(frozen=True, slots=True)
class Merge:
    """``rewrite[].merge``: the members of all values, each a JSON object, as keys of their own, or one key ``into``."""

    as_json: bool = False
    into: str = ""
    ignores_conflicts: bool = False
    priority: tuple[str, ...] = ()
    lenient: bool = False
    """Whether a key of ``priority`` may be missing."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``dataFrom[].rewrite[]``: a regular expression over keys, a template for them, or a merge of their values."""

    source: str = ""
    target: str = ""
    template: str = ""
    merge: Merge | None = None


@dataclass(frozen=True, slots=True)
class Find:
    """``dataFrom[].find``: ``regexp`` is RE2, matched anywhere in a name; all that are given must hold."""

    search: Search
    regexp: str = ""


@dataclass(frozen=True, slots=True)
class GeneratorRef:
    """``sourceRef.generatorRef``: a generator of the ExternalSecret's namespace."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ExtractItem:
    """``dataFrom[]``: all members of a JSON object, with ``find`` the whole values of all names that are found.

    With ``generator`` it is what that makes; no store is read then.
    """

    source: Source
    rewrites: tuple[Rewrite, ...] = ()
    find: Find | None = None
    generator: GeneratorRef | None = None


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """``templateFrom[]``: a literal, or keys of a ConfigMap or Secret; ``target`` is data, annotations or labels."""

    target: str
    literal: str = ""
    kind: str = ""
    name: str = ""
    items: tuple[tuple[str, bool], ...] = ()
    """(key, whether the text renders to keys and values)."""
    decoding: str = "None"
    """How each rendered value is decoded."""


@dataclass(frozen=True, slots=True)
class SecretTemplate:
    """``target.template``."""

    type: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    data: Mapping[str, str]
    sources: tuple[TemplateSource, ...]
    merges: bool

    @property
    def makes_data(self) -> bool:
        """Return whether keys come from the template."""
        return bool(self.data) or any(source.target == "data" for source in self.sources)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The whole spec."""

    name: str
    namespace: str
    target: str
    creation: Creation
    deletion: Deletion
    immutable: bool
    policy: str
    interval_seconds: float
    data: tuple[DataItem, ...]
    extracts: tuple[ExtractItem, ...]
    template: SecretTemplate | None
    windows: SyncWindows | None = None


def wanted_of(obj: KubeObject) -> Wanted:
    """Read an ExternalSecret; raises ``SpecFault``."""
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    target = spec.get("target") or {}
    store = spec.get("secretStoreRef") or {}
    interval = spec.get("refreshInterval")
    try:
        seconds = DEFAULT_INTERVAL_SECONDS if interval is None else seconds_of(str(interval))
    except ValueError as error:
        raise SpecFault(f"refreshInterval: {error}") from None
    return Wanted(
        name=metadata["name"],
        namespace=metadata["namespace"],
        target=target.get("name") or metadata["name"],
        creation=target.get("creationPolicy") or "Owner",
        deletion=target.get("deletionPolicy") or "Retain",
        immutable=bool(target.get("immutable")),
        policy=spec.get("refreshPolicy") or "Periodic",
        interval_seconds=seconds,
        data=tuple(_data_item(item, store) for item in spec.get("data") or ()),
        extracts=tuple(_extract_item(item, store) for item in spec.get("dataFrom") or ()),
        template=template_of(target["template"]) if target.get("template") else None,
        windows=_windows(spec.get("syncWindows")),
    )


def _windows(said: Mapping[str, Any] | None) -> SyncWindows | None:
    try:
        return windows_of(said) if said is not None else None
    except ValueError as error:
        raise SpecFault(f"syncWindows.{error}") from None


def _store_ref(item: Mapping[str, Any], fallback: Mapping[str, Any]) -> StoreRef:
    source = item.get("sourceRef") or {}
    if source.get("generatorRef"):
        raise SpecFault("data.sourceRef.generatorRef: a generator makes several keys, name it in dataFrom")
    ref = source.get("storeRef") or fallback
    if not ref.get("name"):
        raise SpecFault("secretStoreRef.name is missing")
    return StoreRef(ref["name"], ref.get("kind") or SECRET_STORE)


def _source(ref: Mapping[str, Any], store: StoreRef) -> Source:
    return Source(
        store=store,
        remote=RemoteRef(ref["key"], ref.get("version") or "", ref.get("metadataPolicy") == "Fetch"),
        property=ref.get("property") or "",
        decoding=ref.get("decodingStrategy") or "None",
        conversion=ref.get("conversionStrategy") or "Default",
        fails_on_null_byte=ref.get("nullBytePolicy") == "Fail",
    )


def _data_item(item: Mapping[str, Any], fallback: Mapping[str, Any]) -> DataItem:
    return DataItem(item["secretKey"], _source(item["remoteRef"], _store_ref(item, fallback)))


def _extract_item(item: Mapping[str, Any], fallback: Mapping[str, Any]) -> ExtractItem:
    if (item.get("sourceRef") or {}).get("generatorRef"):
        return _generator_item(item)
    if item.get("find") is not None:
        return _find_item(item, fallback)
    if not item.get("extract"):
        raise SpecFault("dataFrom: give extract or find")
    return ExtractItem(
        _source(item["extract"], _store_ref(item, fallback)),
        tuple(_rewrite(rewrite) for rewrite in item.get("rewrite") or ()),
    )


def _generator_item(item: Mapping[str, Any]) -> ExtractItem:
    if item.get("extract") or item.get("find"):
        raise SpecFault("dataFrom: give extract, find or sourceRef.generatorRef, one of them")
    ref = item["sourceRef"]["generatorRef"]
    kind = str(ref.get("kind") or "")
    if kind not in GENERATORS:
        raise SpecFault(f"generatorRef.kind: expected {', '.join(GENERATORS)}, found {kind!r}")
    return ExtractItem(
        Source(StoreRef("", kind), RemoteRef(f"{kind}/{ref['name']}")),
        tuple(_rewrite(rewrite) for rewrite in item.get("rewrite") or ()),
        generator=GeneratorRef(kind, str(ref["name"])),
    )


def _find_item(item: Mapping[str, Any], fallback: Mapping[str, Any]) -> ExtractItem:
    find = item["find"]
    regexp = str((find.get("name") or {}).get("regexp") or "")
    tags = tuple(sorted((find.get("tags") or {}).items()))
    if not regexp and not tags and not find.get("path"):
        raise SpecFault("dataFrom.find: give name, path or tags")
    return ExtractItem(
        _source({**find, "key": ""}, _store_ref(item, fallback)),
        tuple(_rewrite(rewrite) for rewrite in item.get("rewrite") or ()),
        Find(Search(find.get("path") or "", tags), regexp),
    )


def _rewrite(rewrite: Mapping[str, Any]) -> Rewrite:
    if rewrite.get("regexp"):
        return Rewrite(source=rewrite["regexp"]["source"], target=rewrite["regexp"]["target"])
    if rewrite.get("transform"):
        return Rewrite(template=rewrite["transform"]["template"])
    if rewrite.get("merge") is not None:
        return Rewrite(merge=_merge(rewrite["merge"]))
    raise SpecFault("dataFrom.rewrite: give regexp, transform or merge")


def _merge(merge: Mapping[str, Any]) -> Merge:
    return Merge(
        as_json=(merge.get("strategy") or "Extract") == "JSON",
        into=str(merge.get("into") or ""),
        ignores_conflicts=(merge.get("conflictPolicy") or "Error") == "Ignore",
        priority=tuple(merge.get("priority") or ()),
        lenient=(merge.get("priorityPolicy") or "Strict") == "IgnoreNotFound",
    )


def template_of(template: Mapping[str, Any]) -> SecretTemplate:
    """Read a template for a Secret; raises ``SpecFault``."""
    engine = template.get("engineVersion") or "v2"
    if engine != "v2":
        raise SpecFault(f"target.template.engineVersion: expected v2, found {engine!r}")
    metadata = template.get("metadata") or {}
    return SecretTemplate(
        type=template.get("type") or "",
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        data=template.get("data") or {},
        sources=tuple(one for source in template.get("templateFrom") or () for one in _template_sources(source)),
        merges=template.get("mergePolicy") == "Merge",
    )


def _template_sources(source: Mapping[str, Any]) -> Iterator[TemplateSource]:
    """An item may name several: a literal wins over a Secret, and that over a ConfigMap."""
    target = str(source.get("target") or "Data").lower()
    if target not in {"data", "annotations", "labels"}:
        raise SpecFault(f"templateFrom.target: expected Data, Annotations or Labels, found {source['target']!r}")
    if not any(source.get(kind) for kind in ("configMap", "secret", "literal")):
        raise SpecFault("templateFrom: give configMap, secret or literal")
    decoding = source.get("valuesDecodingStrategy") or "None"
    for kind in ("configMap", "secret"):
        if source.get(kind):
            ref = source[kind]
            items = tuple((item["key"], item.get("templateAs") == "KeysAndValues") for item in ref.get("items") or ())
            yield TemplateSource(target, kind=kind, name=ref["name"], items=items, decoding=decoding)
    if source.get("literal"):
        yield TemplateSource(target, literal=source["literal"], decoding=decoding)
