"""What goes wrong with a template. A message names the template, its line and the names in it; never a value."""

from __future__ import annotations

from keyless.api import Permanent


class TemplateError(Permanent):
    """The template cannot be read or rendered; ``line`` is 1 for the first, ``limit`` says whether it ran away."""

    def __init__(self, name: str, line: int, problem: str, *, limit: bool = False) -> None:
        super().__init__(f"template {name!r}, line {line}: {problem}")
        self.template, self.line, self.problem, self.limit = name, line, problem, limit


class Problem(ValueError):
    """Raised by functions: what is wrong, without values."""
