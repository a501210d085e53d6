"""Tighten: from recorded calls the smallest part of a policy that allows them, proven on the engine."""

from keyless.identity.tighten.model import ANYWHERE, Call, Span, Tightened
from keyless.identity.tighten.plan import tighten, told_apart
from keyless.identity.tighten.reading import is_on_objects, of_record, of_trail
from keyless.identity.tighten.render import render_json, render_text
from keyless.identity.tighten.trails import Event, event_of, events_of

__all__ = [
    "ANYWHERE",
    "Call",
    "Event",
    "Span",
    "Tightened",
    "event_of",
    "events_of",
    "is_on_objects",
    "of_record",
    "of_trail",
    "render_json",
    "render_text",
    "tighten",
    "told_apart",
]
