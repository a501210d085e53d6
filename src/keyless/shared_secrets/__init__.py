"""`external-secrets-controller`: External Secrets' v1 resources and Upbound's shared ones."""
