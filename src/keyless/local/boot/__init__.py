"""What `keyless up` installs, as data, and the order it starts things in."""
