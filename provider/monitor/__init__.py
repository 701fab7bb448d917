"""SHOW in a browser: Sync Center, an ASGI application (extra ``web``), and the server of ``maildock monitor``.

Rules of the room: everything is rendered here, on the server, and escaped by the templates; a page changes nothing by
GET; nothing is loaded from elsewhere; no mail is shown but subjects, and never as HTML. ``guard`` is the door.
"""

from .app import monitor_app

__all__ = ["monitor_app"]
