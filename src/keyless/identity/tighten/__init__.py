"""Tighten: from recorded calls the smallest part of a policy that allows them, proven on the engine."""

from keyless.identity.tighten.model import Call, Span, Tightened
from keyless.identity.tighten.plan import tighten
from keyless.identity.tighten.reading import of_record, of_trail, span_of
from keyless.identity.tighten.render import render_json, render_text

__all__ = [
    "Call",
    "Span",
    "Tightened",
    "of_record",
    "of_trail",
    "render_json",
    "render_text",
    "span_of",
    "tighten",
]
