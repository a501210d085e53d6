"""Tasks that belong together: they end together, and what ended them is raised as it is."""

from keyless.tasks.tasks import Tasks, leaves, most_telling

__all__ = ["Tasks", "leaves", "most_telling"]
