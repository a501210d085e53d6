"""What every namespace has from its first second: the service account ``default`` and the cluster's CA."""
