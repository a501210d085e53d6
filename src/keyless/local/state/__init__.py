"""One folder: SQLite, lock, ports, certificates."""
