"""What `create` and `delete` do to a host, one idempotent step after the other."""
