"""Services on the host: their spec, what the host allots to them, and the slices that tenants write."""
