"""AWS's service models without what only a human reads.

botocore keeps what it loads for the life of the process: the endpoints of four hundred services (7 MB as Python
objects, of which a component asks for two or three), and the documentation of every shape.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from botocore.loaders import JSONFileLoader, Loader, create_loader


class LeanFiles(JSONFileLoader):  # type: ignore[misc]  # botocore is untyped
    """Loads what botocore's own loader would, in its order."""

    def load_file(self, file_path: str) -> Any:
        """The file's content; None where there is none."""
        for extension, opened in ((".json", open), (".json.gz", gzip.open)):
            path = Path(file_path + extension)
            if path.is_file():
                with opened(path, "rb") as file:
                    data = orjson.loads(file.read())
                return _endpoints(data) if path.name.startswith("endpoints.json") else _undocumented(data)
        return None


class Later(Mapping[str, Any]):
    """Values that stay JSON until somebody asks for one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        # Copied: what orjson returns keeps the room that it was written in, ten times as much as these texts need.
        self._texts = {name: bytes(memoryview(orjson.dumps(value))) for name, value in values.items()}

    def __getitem__(self, name: str) -> Any:
        return orjson.loads(self._texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def lean_loader() -> Loader:
    """botocore's loader, with its search path."""
    loader = create_loader()
    loader.file_loader = LeanFiles()
    return loader


def _endpoints(data: Any) -> Any:
    for partition in data.get("partitions", ()):
        partition["services"] = Later(partition["services"])
    return data


def _undocumented(value: Any) -> Any:
    # Emptied, not taken away: botocore asks for it in places. A member of that name is an object, no text: it stays.
    if isinstance(value, dict):
        return {
            key: "" if key == "documentation" and isinstance(each, str) else _undocumented(each)
            for key, each in value.items()
        }
    return [_undocumented(each) for each in value] if isinstance(value, list) else value
