"""What the syncer serves: probes and metrics."""
