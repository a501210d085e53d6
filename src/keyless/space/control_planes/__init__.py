"""Control planes: host namespace, API, components."""
