"""IAM: users, roles, policies and identity providers, and what decisions see of them."""
