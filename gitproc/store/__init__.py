"""What survives: journal, checkpoint, kept definitions, logs and the event log."""
