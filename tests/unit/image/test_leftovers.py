"""A build leaves neither mounts nor processes behind, also one that is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from image.leftovers import alone_in, mounts_below, run, unmount_below

ROOT = Path(__file__).resolve().parents[3]
MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 254:0 /x /work/.tools/image/overlay/storage/overlay rw - ext4 /dev/vda rw
31 30 0:50 / /work/.tools/image/overlay/storage/overlay/ab/merged rw - overlay overlay rw
32 22 0:51 / /work/.tools/image\040two/merged rw - overlay overlay rw
33 22 0:52 / /work/.tools/images rw - overlay overlay rw
34 22 0:53 / /work/.tools/image rw - tmpfs tmpfs rw
"""
TOLD_TO_END = """
import sys
from pathlib import Path
from image.leftovers import alone_in, run
with alone_in(Path(sys.argv[1])):
    run(["sh", "-c", "sleep 600 & echo $! > started; mv started child; wait"], cwd=Path(sys.argv[1]))
"""


def test_mounts_of_the_folder_go_in_the_order_in_which_they_can() -> None:
    assert mounts_below(Path("/work/.tools/image"), MOUNTINFO) == [
        Path("/work/.tools/image"),
        Path("/work/.tools/image/overlay/storage/overlay/ab/merged"),
        Path("/work/.tools/image/overlay/storage/overlay"),
    ]
    assert mounts_below(Path("/work/.tools/image two"), MOUNTINFO) == [Path("/work/.tools/image two/merged")]
    assert mounts_below(Path("/work"), "") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_what_a_killed_build_left_mounted_is_unmounted_by_the_next(tmp_path: Path) -> None:
    point = tmp_path / "storage" / "overlay"
    point.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", str(point), str(point)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        (point / "inner").mkdir()
        subprocess.run(["mount", "--bind", str(point / "inner"), str(point / "inner")], check=True)
        assert _mounted(tmp_path) == [point / "inner", point]
        with alone_in(tmp_path):
            assert _mounted(tmp_path) == []
    finally:  # a test that fails must not leave what no later run can remove
        unmount_below(tmp_path)


def test_who_is_told_to_end_ends_what_it_started(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TOLD_TO_END, str(tmp_path)]
    with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}) as build:
        while not (tmp_path / "child").exists():
            assert build.poll() is None
        child = int((tmp_path / "child").read_text())
        build.send_signal(signal.SIGTERM)
        assert build.wait() == 128 + signal.SIGTERM
    while _runs(child):  # it was told to; the test's own limit is the only one
        os.sched_yield()


def test_a_command_that_fails_is_told_with_its_code(tmp_path: Path) -> None:
    assert run(["echo", "done"], cwd=tmp_path) == "done"
    with pytest.raises(subprocess.CalledProcessError) as told:
        run(["sh", "-c", "exit 3"], cwd=tmp_path)
    assert told.value.returncode == 3


def _mounted(folder: Path) -> list[Path]:
    return mounts_below(folder, Path("/proc/self/mountinfo").read_text())


def _runs(pid: int) -> bool:
    """A child whose parent is gone waits for nobody: what is left of it is no process that runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
