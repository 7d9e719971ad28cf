"""The syncer: one process per tenant that translates its pods and services to the host and status back."""
