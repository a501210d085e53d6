"""What `keyless up` installs, as data, and the order it starts things in.

``LocalSpace`` is a running Space; ``running`` is what it writes down for the other commands; ``exports`` is what a
shell needs to use it.
"""

from keyless.local.boot.exports import exports
from keyless.local.boot.options import Options
from keyless.local.boot.running import Running, read_running
from keyless.local.boot.space import LocalSpace

__all__ = ["LocalSpace", "Options", "Running", "exports", "read_running"]
