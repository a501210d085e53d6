"""How long and how many: the bounds of every connection to an API server."""

CALL_SECONDS = 30.0
"""Silence within a call that ends it."""
CALL_TOTAL_SECONDS = 120.0
"""A server that sends a byte now and then never falls silent: a call ends after this all the same."""
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 150.0
"""A watch hears a bookmark about every minute; after this silence the connection is taken for dead."""
IDLE_SECONDS = 30.0
"""Idle connections are dropped before load balancers drop them silently (AWS: 350 s, others 60 s)."""
MAX_CALLS = 32
LINE_BYTES = 64 * 2**20
"""The longest line of a stream: an object of a few MB in etcd may be several times that as JSON, and no more."""
USER_AGENT = "keyless"
