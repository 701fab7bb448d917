"""SPEAK: one package a protocol, each turning its words into values of ``store.mail``. None sees the database."""
