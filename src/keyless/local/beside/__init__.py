"""The local AWS alone, beside a cluster that somebody else runs: ``keyless run cloud``."""
