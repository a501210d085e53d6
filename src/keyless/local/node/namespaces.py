"""Give the calling process its own view of the file system, without privileges: user and mount namespaces.

Runs in a freshly forked child, before it becomes the container's program. A new root is put together from bind mounts:
everything of the host stays where it is, only the mount paths (and the folders above them that do not exist) are new.
Nothing here protects the host from the container: both are the same user.

https://man7.org/linux/man-pages/man7/user_namespaces.7.html
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from keyless.local.node.mounts import Bind, Tree, nested, skeleton

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 0x400, 0x800, 0x1000, 0x4000, 1 << 18, 1 << 21
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class View:
    """The mounts of one container and an empty folder to put its root together in."""

    root: str
    binds: tuple[Bind, ...]


def enter(view: View) -> None:
    """Move the calling process into ``view``. Raises ``OSError``; then the process must end."""
    _unshare()
    _mount(None, "/", MS_REC | MS_PRIVATE)
    _mount("tmpfs", view.root, MS_NOSUID | MS_NODEV, kind="tmpfs", data="mode=755,size=4m")
    tree = skeleton([bind.path for bind in view.binds])
    sources = {bind.path: bind for bind in view.binds}
    _assemble(view.root, "/", tree, sources)
    for bind in nested(view.binds):
        _bind_volume(view.root + bind.path, bind)
    cwd = os.getcwd()
    os.chroot(view.root)
    os.chdir(cwd if os.path.isdir(cwd) else "/")


def resolve(path: str) -> str:
    """``path`` with the host's symbolic links above it followed (``/var/run`` is ``/run``); its end may not exist."""
    parent, name = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(parent), name)


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call(_libc.unshare(CLONE_NEWNS), "unshare")
        return
    _call(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def _assemble(new: str, old: str, tree: Tree, sources: dict[str, Bind]) -> None:
    """Fill the folder ``new`` with what ``old`` holds, except for the names in ``tree``."""
    for name in os.listdir(old) if os.path.isdir(old) else ():
        if name not in tree:
            _keep(os.path.join(new, name), os.path.join(old, name))
    for name, below in tree.items():
        inside, outside = os.path.join(new, name), os.path.join(old, name)
        bind = sources.get(outside)
        if bind is None:
            os.mkdir(inside)
            _assemble(inside, outside, below, sources)
        else:
            _bind_volume(inside, bind)


def _keep(new: str, old: str) -> None:
    """Show one entry of the host under the new root; one that cannot be shown (stale, unreadable) is left out."""
    try:
        if os.path.islink(old):
            os.symlink(os.readlink(old), new)
            return
        _place(new, is_folder=os.path.isdir(old))
        _mount(old, new, MS_BIND | MS_REC)
    except OSError:
        return


def _bind_volume(new: str, bind: Bind) -> None:
    _place(new, is_folder=os.path.isdir(bind.source))
    _mount(bind.source, new, MS_BIND | MS_REC)
    if bind.read_only:
        # The flags that the mount below has cannot be cleared in a user namespace: repeat them.
        _mount(None, new, MS_REMOUNT | MS_BIND | MS_RDONLY | _locked_flags(new))


def _locked_flags(path: str) -> int:
    found = os.statvfs(path).f_flag
    pairs = (
        (os.ST_NOSUID, MS_NOSUID),
        (os.ST_NODEV, MS_NODEV),
        (os.ST_NOEXEC, MS_NOEXEC),
        (os.ST_NOATIME, MS_NOATIME),
        (os.ST_NODIRATIME, MS_NODIRATIME),
        (os.ST_RELATIME, MS_RELATIME),
    )
    return sum(mount for stat, mount in pairs if found & stat)


def _place(path: str, *, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _mount(source: str | None, target: str, flags: int, *, kind: str | None = None, data: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    _call(_libc.mount(*encoded, ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount {target}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def find_fault(scratch: str) -> str:
    """Why this machine cannot give a process its own view; empty when it can. Forks."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        message = ""
        try:
            enter(View(scratch, _trial(scratch)))
        except OSError as error:
            message = str(error)
        os.write(writer, message.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        fault = pipe.read().decode()
    os.waitpid(child, 0)
    return fault


def _trial(scratch: str) -> tuple[Bind, ...]:
    return (Bind("/keyless-trial/mount", os.path.dirname(scratch), read_only=True),)
