"""The manager process: composition root of everything below it."""
