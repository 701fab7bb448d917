"""Let in: the way from an address to an account that works. Vaults, OAuth, autoconfiguration.

Rules of the room: secrets live in a vault and nowhere else; nothing here is imported before it is used; HTTP is TLS
with a checked name (plain text to the loopback only); no client id of anybody is in here: hosts bring their own.
"""
