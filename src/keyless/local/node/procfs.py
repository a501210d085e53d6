"""What the kernel says about processes. See proc(5)."""

from __future__ import annotations


def start_ticks(process: int) -> int:
    """When the process started, in the kernel's ticks (field 22 of ``stat``); 0 when there is none."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    is_zombie = bool(fields) and fields[0] == "Z"  # ended, only not yet collected by its parent
    return 0 if is_zombie or len(fields) < 20 else int(fields[19])
