"""LogicalCluster: name in; server, CA and Ready out."""
