"""What a function is: Go's parameter types, what runs, and which cost its arguments have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Cost = Literal["spell", "walk", "copy", "look"]


@dataclass(frozen=True, slots=True)
class Function:
    """One function. ``params``: s string, i int, f float64, b bool, m map[string]interface{}, t time.Time, a anything;
    * repeats.

    ``cost`` is paid before ``run``: ``walk`` for everything in the arguments (the default: safe for whatever is built
    from them), ``spell`` for work on each of their characters, ``copy`` for their outermost level, ``look`` for
    nothing. One that may make more than ten times what it is given asks the account itself: ``run`` is then given it
    first.
    """

    params: str
    run: Callable[..., Any]
    cost: Cost = "walk"
    asks: bool = False
    fixed: str = field(init=False)
    rest: str = field(init=False)
    """The type of all further arguments; empty when there can be none."""

    def __post_init__(self) -> None:
        fixed, _, rest = self.params.partition("*")
        object.__setattr__(self, "fixed", fixed)
        object.__setattr__(self, "rest", rest)
