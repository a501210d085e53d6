"""Try an image for a machine of another kind by emulating its processor, where qemu's user mode is installed.

Python starts, every library loads, and the command says its version: what a build that runs nothing of it cannot show.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from image.leftovers import run

# As Debian's package qemu-user-static calls them.
QEMU = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}
LOAD = (
    "import ctypes, pathlib; found = list(pathlib.Path('/keyless/lib').rglob('*.so*')); "
    "assert found; [ctypes.CDLL(str(one)) for one in found]"
)


def tried(image: str, arch: str, buildah: Callable[..., str]) -> str:
    """What was found, in a few words. Raises ``CalledProcessError`` where the image does not run."""
    emulator = shutil.which(QEMU[arch])
    if emulator is None:
        return f"not run: `apt-get install qemu-user-static` brings {QEMU[arch]}, which runs it here"
    if os.geteuid() != 0:
        return "not run: that takes root"
    container = buildah("from", "--pull-never", "--arch", arch, image)
    try:
        root = Path(buildah("mount", container))
        # Into the container and not the image: it is removed below.
        shutil.copy2(emulator, root / "qemu")
        python = ("chroot", str(root), "/qemu", "/usr/bin/python3")
        environ = {"PYTHONPATH": "/keyless/lib", "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        run([*python, "-c", LOAD], cwd=root, env={**os.environ, **environ})
        version = run([*python, "-m", "keyless", "--version"], cwd=root, env={**os.environ, **environ})
    finally:
        buildah("rm", container)
    return f"run under {QEMU[arch]}: every library loads, and it says {version!r}"
