"""`keyless billing export`: the peer's report."""
