"""ExternalSecrets to Secrets: when to read, what becomes of it, how it is written and told."""
