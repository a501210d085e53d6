"""Go's text/template and the functions External Secrets users rely on. Pure: text and data in, text out.

    template = parse("{{ .user | upper }}", name="username")
    template.render({"user": "ada"})          # "ADA"

Both raise ``TemplateError``, which names the template and the line and never holds a value. A rendering is bounded in
steps, in memory and in output (``Limits``), whatever the template and the data are; a regular expression alone may take
long in one step, so strangers' templates belong into a process that can be ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.gotemplate.account import Limits
from keyless.gotemplate.errors import Problem, TemplateError
from keyless.gotemplate.evaluator import KNOWN, Evaluator
from keyless.gotemplate.functions import FUNCTIONS
from keyless.gotemplate.parser import Tree, parse_tree
from keyless.gotemplate.printing import fixed_text
from keyless.gotemplate.values import decoded, given

__all__ = ["FUNCTIONS", "Limits", "Problem", "Template", "TemplateError", "fixed_text", "parse"]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    tree: Tree

    def render(
        self,
        data: Mapping[str, Any],
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        named: Collection[str] = (),
    ) -> str:
        """Return the output; data are None, bool, int, float, str, list and dict with string keys.

        Bytes that are no UTF-8 are lone surrogates in it. ``named`` are keys of the data that an error may show.
        """
        return decoded(self.render_bytes(data, limits=limits, named=named))

    def render_bytes(
        self,
        data: Mapping[str, Any],
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        named: Collection[str] = (),
    ) -> bytes:
        """Return the output as bytes; texts of the data may be bytes as well."""
        return Evaluator(self.tree, limits, named).render(given(data))


def parse(source: str, *, name: str = "template", left: str = "{{", right: str = "}}") -> Template:
    """Read a template; ``name`` is what errors call it."""
    return Template(parse_tree(name, source, left, right, _NAMES))


_NAMES = frozenset({*KNOWN, "and", "or"})
