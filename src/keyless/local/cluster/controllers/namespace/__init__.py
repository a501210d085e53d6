"""The end of namespaces: all content first."""
