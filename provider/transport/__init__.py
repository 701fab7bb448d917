"""Send what is in the outbox. Never part of a synchronization."""
