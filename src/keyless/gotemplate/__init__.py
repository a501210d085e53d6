"""Go's template language and the functions External Secrets users rely on. Pure."""
