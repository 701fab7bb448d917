"""Servers tell of new mail: parked connections, and the runs that come of it."""
