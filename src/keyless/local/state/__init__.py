"""One folder holds everything a local Space keeps: SQLite, lock, ports, keys and certificates.

``State.open(path)`` is the only way in; it holds the lock of the folder until ``close``, so there is one ``up`` for
each folder. What lives in the tables is not known here: every part brings its own migrations.
"""

from keyless.local.state.authority import Authority
from keyless.local.state.errors import PortBusy, StateFull, StateInUse, StateTooNew, StateUnsafe
from keyless.local.state.state import State

__all__ = ["Authority", "PortBusy", "State", "StateFull", "StateInUse", "StateTooNew", "StateUnsafe"]
