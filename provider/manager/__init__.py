"""WHEN and WHO: groups of accounts, schedules, and the object that starts what is due. It never speaks to a server."""
