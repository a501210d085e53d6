"""Which images this node can run, and how: an image is a command on this machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyless.api import Permanent
from keyless.api.starting import SAFE_PATH

OURS = "keyless/keyless"


@dataclass(frozen=True, slots=True)
class Image:
    """``entrypoint`` stands for the image's own; ``function`` (module:name) may be called in its place after a fork."""

    entrypoint: tuple[str, ...]
    function: str = ""


class ImageMap:
    """Images by repository, without tag or digest."""

    def __init__(self, images: Mapping[str, Image]) -> None:
        self._images = {repository(name): image for name, image in images.items()}

    def find(self, name: str) -> Image | None:
        """The image of that name, whatever its tag."""
        return self._images.get(repository(name))

    @property
    def names(self) -> tuple[str, ...]:
        """What can be run, sorted."""
        return tuple(sorted(self._images))

    def extended(self, more: Mapping[str, Image]) -> ImageMap:
        """This map and ``more``, which wins."""
        return ImageMap({**self._images, **more})


def own_image(python: str) -> dict[str, Image]:
    """Our own image, run by this interpreter; after a fork it is a call of the command line."""
    return {OURS: Image((python, SAFE_PATH, "-m", "keyless"), function="keyless.cli:dispatch")}


def repository(name: str) -> str:
    """``docker.io/library/redis:7@sha256:…`` → ``redis``: what is left is what a reader would call it."""
    name = name.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    if colon and "/" not in tail:
        name = head
    for prefix in ("docker.io/library/", "index.docker.io/", "docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


def read_image_map_untrusted(content: Any, source: str) -> dict[str, Image]:
    """Images from the parsed file ``--image-map``: a mapping from image to command. Raises ``Permanent``."""
    if not isinstance(content, Mapping):
        raise Permanent(f"image map {source}: expected a mapping from image to command, found {type(content).__name__}")
    images: dict[str, Image] = {}
    for name, command in content.items():
        words = command.split() if isinstance(command, str) else command
        if not isinstance(words, Sequence) or not words or not all(isinstance(word, str) for word in words):
            raise Permanent(f"image map {source}: {name}: expected a command as a list of words, found {command!r}")
        images[str(name)] = Image(tuple(words))
    return images
