"""``target.template``: keys, labels and annotations made from what was read. Pure.

Order, per key: ``template.data`` over ``templateFrom`` over the provider's data; the provider's keys stay only with
``mergePolicy: Merge`` or where no data template is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.gotemplate import Problem, TemplateError, parse
from keyless.gotemplate.yaml import keys_and_values
from keyless.shared_secrets.sync.model import SecretTemplate, TemplateSource
from keyless.shared_secrets.sync.values import ValueFault, decode

SourceTexts = Mapping[tuple[str, str, str], str]
"""(kind, name, key) of ConfigMaps and Secrets that templates come from, with their text."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the template made."""

    data: dict[str, bytes] = field(repr=False)
    labels: dict[str, str] = field(repr=False)
    annotations: dict[str, str] = field(repr=False)


def render(template: SecretTemplate, read: Mapping[str, bytes], texts: SourceTexts) -> Rendered:
    """Return the rendered target; raises ``ValueFault``, which holds no value."""
    values = {key: value.decode("utf-8", "surrogateescape") for key, value in read.items()}
    parts: dict[str, dict[str, str]] = {"data": {}, "labels": {}, "annotations": {}}
    for source in template.sources:
        parts[source.target] |= _decoded(source, _from_source(source, values, texts))
    for target, written in (
        ("data", template.data),
        ("labels", template.labels),
        ("annotations", template.annotations),
    ):
        for key, text in written.items():
            parts[target][key] = _rendered(f"target.template.{target}.{key}", text, values)
    keeps = template.merges or not template.makes_data
    made = {key: text.encode("utf-8", "surrogateescape") for key, text in parts["data"].items()}
    return Rendered({**(read if keeps else {}), **made}, parts["labels"], parts["annotations"])


def _decoded(source: TemplateSource, rendered: dict[str, str]) -> dict[str, str]:
    """Apply ``valuesDecodingStrategy`` to what was rendered; bytes that are no text travel as they do everywhere."""
    if source.decoding == "None":
        return rendered
    name = f"templateFrom.valuesDecodingStrategy {source.decoding}, key"
    return {
        key: decode(text.encode("utf-8", "surrogateescape"), source.decoding, f"{name} {key}").decode(
            "utf-8", "surrogateescape"
        )
        for key, text in rendered.items()
    }


def _from_source(source: TemplateSource, values: Mapping[str, str], texts: SourceTexts) -> dict[str, str]:
    if source.literal:
        return _keys_and_values("templateFrom.literal", source.literal, values)
    found: dict[str, str] = {}
    for key, makes_several in source.items:
        text = texts.get((source.kind, source.name, key))
        name = f"templateFrom.{source.kind} {source.name}, key {key}"
        if text is None:
            raise ValueFault(f"{name}: there is no such key")
        if makes_several:
            found |= _keys_and_values(name, text, values)
        else:
            found[key] = _rendered(name, text, values)
    return found


def _keys_and_values(name: str, text: str, values: Mapping[str, str]) -> dict[str, str]:
    rendered = _rendered(name, text, values)
    try:
        return keys_and_values(rendered)
    except Problem as problem:
        raise ValueFault(f"{name}: the rendered text is no YAML map of keys and values: {problem}") from None


def _rendered(name: str, text: str, values: Mapping[str, str]) -> str:
    try:
        return parse(text, name=name).render(values)
    except TemplateError as error:
        raise ValueFault(str(error)) from None
