"""What a container may do: write to a peer that is gone."""

from __future__ import annotations

import socket


def main(arguments: list[str]) -> int:
    ours, theirs = socket.socketpair()
    theirs.close()
    try:
        ours.send(b"x")
    except OSError as error:
        print(type(error).__name__)
    ours.close()
    return 0
