"""Several renderings at once, as plain values that can be sent to another process. Pure.

A job names a template, the data it is given and what is wanted of it: a text, or the keys and values that the text
holds as a YAML map (External Secrets' ``templateAs: KeysAndValues``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from keyless.gotemplate import Template, TemplateError, parse
from keyless.gotemplate.account import Account, LimitMet, Limits
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import decoded, encoded
from keyless.gotemplate.yaml import keys_and_values
from keyless.gotemplate.yaml_text import check_yaml

Values = Mapping[str, bytes]
Rendered = bytes | dict[str, bytes]
# Together at most 64 parsed templates of 256 KiB; an ExternalSecret has a few of some lines.
PARSED = 64


@dataclass(frozen=True, slots=True)
class Job:
    """One rendering. ``data`` is the index of its data; nothing of a ``discreet`` template's text may be shown."""

    name: str
    text: str = field(repr=False)
    data: int = 0
    keys_and_values: bool = False
    discreet: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """Jobs with the data they share; ``named`` are keys that an error may show."""

    jobs: tuple[Job, ...]
    data: tuple[Values, ...] = field(repr=False)
    named: frozenset[str] = frozenset()


def render_all(work: Work, limits: Limits = Limits()) -> list[Rendered]:  # noqa: B008 - frozen
    """Return what each job made, in order; raises the first ``TemplateError``."""
    return [_render(job, work, limits) for job in work.jobs]


@lru_cache(maxsize=PARSED)
def _parsed(name: str, text: str) -> Template:
    return parse(text, name=name)


def _render(job: Job, work: Work, limits: Limits) -> Rendered:
    try:
        made = _parsed(job.name, job.text).render_bytes(work.data[job.data], limits=limits, named=work.named)
    except TemplateError as error:
        if not job.discreet or error.limit:
            raise
        text = "it cannot be rendered (its text is a Secret's, so no part of it is shown)"
        raise TemplateError(job.name, error.line, text) from None
    return _keys_and_values(job.name, made, limits) if job.keys_and_values else made


def _keys_and_values(name: str, text: bytes, limits: Limits) -> dict[str, bytes]:
    account = Account(limits)
    try:
        check_yaml(account, text)
        found = keys_and_values(decoded(text))
        account.items(len(found))
    except LimitMet as met:
        raise TemplateError(name, 1, f"the keys and values: {met}", limit=True) from None
    except Problem as problem:
        raise TemplateError(name, 1, f"the rendered text is no YAML map of keys and values: {problem}") from None
    return {key: encoded(value) for key, value in found.items()}
