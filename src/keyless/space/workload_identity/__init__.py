"""WorkloadIdentity: roles, trust and associations that follow control planes, and a row for each that says how far."""
