"""``python -m keyless`` is ``keyless``."""

from keyless.cli import main

main()
