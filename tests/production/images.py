"""The images that the node cannot pull, made of what is on the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from image.build import ROOT, WORK, buildah

from production.node import PAUSE

_PAUSE = r"""
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int number) { (void)number; exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGTERM, end); signal(SIGINT, end); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


def pause() -> Path:
    """The archive of the image that holds a pod's namespaces; made once."""
    folder = WORK / "pause"
    archive = folder / "pause.tar"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pause.c").write_text(_PAUSE)
        subprocess.run(["gcc", "-static", "-O1", "-o", "pause", "pause.c"], cwd=folder, check=True)
        (folder / "Containerfile").write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
        told = ("--quiet", "--isolation", "chroot", "--tag", PAUSE, "--file", str(folder / "Containerfile"))
        buildah("bud", *told, str(folder))
        partial = folder / "partial.tar"
        partial.unlink(missing_ok=True)
        buildah("push", "--quiet", PAUSE, f"oci-archive:{partial}:{PAUSE}")
        partial.rename(archive)
    return archive


def ours(name: str) -> Path:
    """One of the archives that ``make image`` writes."""
    archive = ROOT / "dist" / f"{name}.tar"
    assert archive.exists(), f"dist/{name}.tar is missing: run `make image`"
    return archive
