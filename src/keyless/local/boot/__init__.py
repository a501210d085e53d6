"""What `keyless up` installs, as data, and the order it starts things in.

``space.LocalSpace`` is a running Space; it brings all servers with it, so it is imported by its own name. ``Running``
is what it writes down for the other commands; ``exports`` is what a shell needs to use it.
"""

from keyless.local.boot.exports import exports
from keyless.local.boot.options import Options
from keyless.local.boot.running import Running, read_running

__all__ = ["Options", "Running", "exports", "read_running"]
