"""The AWS APIs, served on loopback, deciding by `keyless.policy`."""
