"""DECIDE and run the inbound half: what changed there, what to do here. Knows no protocol.

Pure rooms: ``foldertree``, ``resume``, ``plan``, ``remap``. Rooms that act: ``folderrun``, ``bodies``, ``pipe``.
"""
