"""Numbered, forward-only SQL: ``NNNN_name.sql`` brings a store from schema NNNN-1 to NNNN. Run by ``store.migrate``."""
