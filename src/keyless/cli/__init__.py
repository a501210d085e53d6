"""The command line: the only place that knows every name."""


def main() -> None:
    """Entry point of the ``keyless`` script."""
    from keyless.cli.app import app

    app()
