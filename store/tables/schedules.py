"""Groups of accounts, when they run by themselves, and whether anything does."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, reference, words

__all__ = ["GroupRow", "ManagerRow", "MemberRow", "ScheduleRow"]


class GroupRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "sync_groups"
    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    id: int | None = identity("our number of the group")
    name: str = words("what people call it", unique=True)
    send: int = integer("1: its runs send what is due", 1)
    receive: int = integer("1: its runs synchronize", 1)
    folders: str = words("paths of the folders, joined by line feeds; empty: all")
    headers_only: int = integer("1: headers, no bodies")
    size_max: int | None = integer("octets; larger messages stay header-only; NULL: no limit", None)
    on_f9: int = integer("1: is part of Send/Receive All", 1)
    on_f9_offline: int = integer("1: is part of it while one works offline", 1)


class MemberRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "group_members"
    __table_args__: ClassVar[Any] = (
        Index("members_in_order", "group_id", "number", unique=True),
        Index("members_by_account", "account_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the membership")
    group_id: int = reference("sync_groups.id", "of which group", cascade=True)
    account_id: int = reference("accounts.id", "who is in it")
    number: int = integer("place in the group, from 0")


class ScheduleRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "schedules"
    __table_args__: ClassVar[Any] = (
        Index("schedules_by_group", "group_id"),
        Index("schedules_held", "id", sqlite_where=text("lease_until IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the schedule")
    group_id: int | None = reference("sync_groups.id", "what it runs; NULL: all accounts", nullable=True, cascade=True)
    text: str = words("when, as people type it")
    zone: str = words("IANA name of the zone whose clocks it means", "UTC")
    enabled: int = integer("1: it runs", 1)
    next_run: int | None = integer("when it is due; NULL: never again", None)
    retry_at: int | None = integer("when it is tried again after a failure; NULL: the last run did not fail", None)
    failures: int = integer("how often in a row it failed")
    last_run: int | None = integer("when it began last; NULL: never", None)
    last_outcome: str = words("ResultStatus value, or why nothing was started; empty: it never ran")
    owner: str = words("who runs it: host, process, number; empty: nobody")
    lease_until: int | None = integer("until when it is held unless renewed; NULL: nobody holds it", None)
    lease_seconds: int = integer("for how long it was given")


class ManagerRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "manager"
    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    id: int | None = identity("1: there is one row")
    paused: int = integer("1: nothing starts by itself")
    offline: int = integer("1: one works offline")
