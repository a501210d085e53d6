"""The Space's shared secret stores and external secrets, inside the control planes that they select."""
