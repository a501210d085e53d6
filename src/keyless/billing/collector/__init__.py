"""`vector`: counts managed resources and stores usage."""
