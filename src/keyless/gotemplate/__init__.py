"""Go's text/template and the functions External Secrets users rely on. Pure: text and data in, text out.

    template = parse("{{ .user | upper }}", name="username")
    template.render({"user": "ada"})          # "ADA"

Both raise ``TemplateError``, which names the template and the line and never holds a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.gotemplate.errors import Problem, TemplateError
from keyless.gotemplate.evaluator import Evaluator, Limits
from keyless.gotemplate.parser import Tree, parse_tree
from keyless.gotemplate.printing import fixed_text
from keyless.gotemplate.sprig import FUNCTIONS

__all__ = ["FUNCTIONS", "Limits", "Problem", "Template", "TemplateError", "fixed_text", "parse"]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    tree: Tree

    def render(
        self,
        data: Mapping[str, Any],
        *,
        functions: Mapping[str, Callable[..., Any]] = FUNCTIONS,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> str:
        """Return the output; data are None, bool, int, float, str, list and dict with string keys."""
        return Evaluator(self.tree, functions, limits).render(data)


def parse(source: str, *, name: str = "template", left: str = "{{", right: str = "}}") -> Template:
    """Read a template; ``name`` is what errors call it."""
    return Template(parse_tree(name, source, left, right))
