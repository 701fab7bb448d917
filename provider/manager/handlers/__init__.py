"""Handlers, items and sessions: what keeps anything in step, and governs it. It knows no mail."""
