"""Out: what people wanted offline becomes true on the server, once, in order, whatever happens on the way.

``runner`` does one pass on one connection, in the order of RFC 4549: what is in doubt is looked at (``recover``,
``departures``), then folders (``tree``), flags, copies, moves, deletions, new mail. ``collapse`` says how little has to
be sent, ``guard`` what is too much, ``refusals`` what a refusal means, ``conflicts`` what is done where both sides
changed the same thing; these four are pure.
"""
