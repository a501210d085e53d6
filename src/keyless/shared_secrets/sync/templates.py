"""``target.template``: keys, labels and annotations made from what was read, by a renderer that can be ended.

Order, per key: ``template.data`` over ``templateFrom`` over the provider's data; the provider's keys stay only with
``mergePolicy: Merge`` or where no data template is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from keyless.api import Reason
from keyless.gotemplate import TemplateError
from keyless.gotemplate import jobs as gotemplate
from keyless.gotemplate.jobs import Job, Work
from keyless.shared_secrets.sync.model import SecretTemplate, TemplateSource
from keyless.shared_secrets.sync.values import NamesWanted, ValueFault, decode

SourceTexts = Mapping[tuple[str, str, str], str]
"""(kind, name, key) of ConfigMaps and Secrets that templates come from, with their text."""


class TemplateFault(ValueFault):
    """A template cannot be read or rendered; the text names it, its line and the limit it met, and holds no value."""

    reason = Reason.TEMPLATE_ERROR


class Renders(Protocol):
    """Renders templates where they can do no harm."""

    async def render(self, work: Work) -> list[gotemplate.Rendered]:
        """Return what each job made; raises ``TemplateError``, or ``Transient`` when it must be tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the template made."""

    data: dict[str, bytes] = field(repr=False)
    labels: dict[str, str] = field(repr=False)
    annotations: dict[str, str] = field(repr=False)


async def render(
    template: SecretTemplate,
    read: Mapping[str, bytes],
    texts: SourceTexts,
    renderer: Renders,
    *,
    named: frozenset[str] = frozenset(),
) -> Rendered:
    """Return the rendered target; raises ``ValueFault``. ``named`` are keys that the spec names, not the provider."""
    planned = planned_jobs(template, texts)
    work = Work(tuple(one.job for one in planned), (read,), named & set(read))
    try:
        made = await renderer.render(work)
    except TemplateError as error:
        raise TemplateFault(str(error)) from None
    return assembled(template, read, planned, made)


async def renamed(wanted: NamesWanted, renderer: Renders) -> dict[str, str]:
    """Return the names that ``rewrite.transform`` makes; raises ``ValueFault``."""
    jobs = tuple(Job("dataFrom.rewrite.transform", wanted.template, data=at) for at in range(len(wanted.names)))
    data = tuple({"value": name.encode("utf-8", "surrogateescape")} for name in wanted.names)
    try:
        made = await renderer.render(Work(jobs, data))
    except TemplateError as error:
        raise TemplateFault(str(error)) from None
    return {name: _text(new) for name, new in zip(wanted.names, made, strict=True)}


@dataclass(frozen=True, slots=True)
class Planned:
    """A text to render: ``target`` is data, labels or annotations, ``key`` empty where the text holds several."""

    target: str
    key: str
    job: Job
    decoding: str = "None"


def planned_jobs(template: SecretTemplate, texts: SourceTexts) -> list[Planned]:
    """Return what is to be rendered, later ones over earlier ones; raises ``ValueFault`` for an absent source."""
    planned: list[Planned] = []
    for source in template.sources:
        planned += _from_source(source, texts)
    for target, written in (
        ("data", template.data),
        ("labels", template.labels),
        ("annotations", template.annotations),
    ):
        planned += [Planned(target, key, Job(f"target.template.{target}.{key}", text)) for key, text in written.items()]
    return planned


def _from_source(source: TemplateSource, texts: SourceTexts) -> list[Planned]:
    if source.literal:
        job = Job("templateFrom.literal", source.literal, keys_and_values=True)
        return [Planned(source.target, "", job, source.decoding)]
    planned: list[Planned] = []
    for key, several in source.items:
        text = texts.get((source.kind, source.name, key))
        name = f"templateFrom.{source.kind} {source.name}, key {key}"
        if text is None:
            raise ValueFault(f"{name}: there is no such key")
        # A Secret may itself have been synced: its text is a value like any other.
        job = Job(name, text, keys_and_values=several, discreet=source.kind == "secret")
        planned.append(Planned(source.target, "" if several else key, job, source.decoding))
    return planned


def assembled(
    template: SecretTemplate, read: Mapping[str, bytes], planned: list[Planned], made: list[gotemplate.Rendered]
) -> Rendered:
    """Return the target that rendered texts make; raises ``ValueFault`` where ``valuesDecodingStrategy`` fails."""
    parts: dict[str, dict[str, bytes]] = {"data": {}, "labels": {}, "annotations": {}}
    for plan, one in zip(planned, made, strict=True):
        parts[plan.target] |= _decoded(plan, one if isinstance(one, dict) else {plan.key: one})
    keeps = template.merges or not template.makes_data
    return Rendered(
        {**(read if keeps else {}), **parts["data"]},
        {key: _text(value) for key, value in parts["labels"].items()},
        {key: _text(value) for key, value in parts["annotations"].items()},
    )


def _decoded(plan: Planned, made: Mapping[str, bytes]) -> Mapping[str, bytes]:
    # A key that was rendered may itself be a value: only one that the spec names is told.
    name = f"{plan.job.name}, valuesDecodingStrategy {plan.decoding}"
    return {key: decode(value, plan.decoding, name) for key, value in made.items()}


def _text(made: gotemplate.Rendered) -> str:
    # Only the data of a Secret hold bytes that are no text.
    return made.decode("utf-8", "replace") if isinstance(made, bytes) else ""
