"""SHOW in a terminal: the command ``maildock``, built on the public names of ``provider`` and ``store`` alone.

One file a group of commands. Command files import typer and this room's leaves at the top; whatever opens a store or a
connection is imported when a command runs, so that ``--version`` and ``--help`` stay quick. Server text never reaches
the terminal unescaped.
"""
