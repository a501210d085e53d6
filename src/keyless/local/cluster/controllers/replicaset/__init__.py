"""ReplicaSets: as many pods as wanted."""
