"""How this very program is started anew, by whichever part of it has to."""

from __future__ import annotations

SAFE_PATH = "-P"
"""``python -m`` looks for modules in the working directory first: a stray ``copy.py`` there would be run as us."""
