"""Health probes: the effect half of health checks."""
