"""What the operating system refuses, as one of the three failures. Pure.

Codes: https://man7.org/linux/man-pages/man3/errno.3.html
"""

from __future__ import annotations

import errno

from keyless.api.errors import KeylessError, Permanent, Transient

_NEXT_STEPS = {
    errno.ENOSPC: "the disk is full: free some space there and try again",
    errno.EDQUOT: "the quota is reached: free some space there and try again",
    errno.EROFS: "the file system is mounted read-only: choose another place",
    errno.EACCES: "this user may not: change its rights or its owner, or choose another place",
    errno.EPERM: "this user may not: change its owner, or free it with `chattr -i` where `lsattr -d` shows that it is "
    "immutable, or choose another place",
    errno.ENOENT: "create it, or name another",
    errno.ENOTDIR: "a part of the path is no folder: name another",
    errno.EISDIR: "a file was expected, not a folder: name another",
    errno.EEXIST: "it exists already: remove it, or name another",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "this process has too many files open: raise `ulimit -n`",
    errno.ENFILE: "the machine has too many files open: raise fs.file-max",
    errno.ENOMEM: "the machine is out of memory: free some, or raise the pod's limit",
    errno.EIO: "the disk does not read or write: look at the kernel's log, and move the data elsewhere",
    errno.EADDRINUSE: "another process has it: free it or choose another address",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose another",
    errno.EAFNOSUPPORT: "this machine has no such kind of address: choose another",
}
"""For these someone must act; the rest of the network's answers pass by themselves."""
_PASSING = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
    }
)


def os_failure(error: OSError) -> KeylessError:
    """``error`` as what the caller does next: the subject that it names, what was found, and the next step.

    Name resolution (``socket.gaierror`` has numbers of its own) and time-outs without a number are the other side's.
    """
    number = error.errno or 0
    subject = " and ".join(_text(name) for name in (error.filename, error.filename2) if name is not None)
    found = error.strerror or str(error) or type(error).__name__
    told = f"{subject}: {found}" if subject else found
    if isinstance(error, TimeoutError | ConnectionError) or number < 0 or number in _PASSING:
        return Transient(f"{told}; it is tried again")
    step = _NEXT_STEPS.get(number, "see what the operating system means by it, and try again")
    return Permanent(f"{told}; {step}")


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
