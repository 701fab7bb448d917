"""Rows to values and back: the only rooms with SQL. Plain functions on a connection, inside somebody's transaction.

``statements`` compiles, ``values`` packs; the rest is one room a concept. Writing functions take a ``Writing`` (the
unit of work), check before they write, and write nothing that would change nothing.
"""
