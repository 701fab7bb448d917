"""What the forms of schedules and groups do; as in ``actions``."""

from collections.abc import Callable
from datetime import datetime
from random import Random

from store import Group, UnknownGroup, UnknownSchedule
from store.mail import AccountId, FolderPath
from store.mail.schedules import ScheduleId, ScheduleRecord

from .. import SystemClock
from ..manager.schedule import BadSchedule, next_run, parse
from .actions import Done
from .center import Center
from .forms import BadForm, Fields, sentence

__all__ = ["PLANS"]

PAGE = "/schedules"
MEMBERS_MAX = 1_000


def _add(center: Center, fields: Fields) -> Done:
    when, zone = _when(fields)
    due = _due(when, zone)
    try:
        center.store.schedules.add(fields.text("group"), when, zone=zone, next_run=due)
    except UnknownGroup:
        raise BadForm("There is no such group any more.") from None
    return Done(PAGE, "saved")


def _change(center: Center, fields: Fields) -> Done:
    when, zone = _when(fields)
    due = _due(when, zone)

    def put(id_: ScheduleId) -> None:
        center.store.schedules.change(id_, when, zone=zone, next_run=due)

    return _of_schedule(put, fields, "saved")


def _remove(center: Center, fields: Fields) -> Done:
    return _of_schedule(center.store.schedules.remove, fields, "removed")


def _enable(center: Center, fields: Fields) -> Done:
    def enable(id_: ScheduleId) -> None:
        one = _record(center, id_)
        center.store.schedules.set_enabled(id_, enabled=True, next_run=_due(one.text, one.zone))

    return _of_schedule(enable, fields, "saved")


def _disable(center: Center, fields: Fields) -> Done:
    def rest(id_: ScheduleId) -> None:
        center.store.schedules.set_enabled(id_, enabled=False, next_run=None)

    return _of_schedule(rest, fields, "saved")


def _put_group(center: Center, fields: Fields) -> Done:
    """Write a group: a new one by the name that was typed, or the *known* one that is edited."""
    known, name = fields.text("known"), fields.text("name")
    groups = {one.name: one for one in center.store.schedules.groups()}
    if known and known not in groups:
        return Done(PAGE, "gone")
    if not known and name in groups:
        raise BadForm("There is a group of this name already.")
    with center.store.read() as view:
        names = center.names(view)
    accounts = tuple(AccountId(one) for one in fields.texts("account"))
    if len(accounts) > MEMBERS_MAX or not set(accounts) <= set(names):
        raise BadForm("There is no such account any more.")
    size = fields.text("size")
    try:
        group = Group(
            name=known or name,
            accounts=accounts,
            send=fields.ticked("send"),
            receive=fields.ticked("receive"),
            folders=tuple(FolderPath.parse(line) for line in fields.lines("folders")),
            headers_only=fields.ticked("headers_only"),
            size_octets_max=fields.number("size") if size else None,
            on_f9=fields.ticked("f9"),
            on_f9_offline=fields.ticked("f9_offline"),
        )
        center.store.schedules.put_group(group)
    except BadForm:
        raise
    except ValueError as error:
        raise BadForm(sentence(error)) from None
    return Done(PAGE, "saved")


def _remove_group(center: Center, fields: Fields) -> Done:
    try:
        center.store.schedules.remove_group(fields.text("name"))
    except UnknownGroup:
        return Done(PAGE, "gone")
    except ValueError as error:
        raise BadForm(sentence(error)) from None
    return Done(PAGE, "removed")


def _of_schedule(act: Callable[[ScheduleId], object], fields: Fields, said: str) -> Done:
    try:
        act(ScheduleId(fields.number("id")))
    except UnknownSchedule:
        return Done(PAGE, "gone")
    return Done(PAGE, said)


def _record(center: Center, id_: ScheduleId) -> ScheduleRecord:
    for one in center.store.schedules.all():
        if one.id == id_:
            return one
    raise UnknownSchedule(f"there is no schedule {int(id_)}")


def _when(fields: Fields) -> tuple[str, str]:
    return fields.text("when"), fields.text("zone") or "UTC"


def _due(text: str, zone: str) -> datetime:
    """Return when a schedule runs first. Raises BadForm when it is none, or over."""
    try:
        due = next_run(parse(text, zone), SystemClock().now(), Random())
    except BadSchedule as error:
        raise BadForm(str(error)) from None
    if due is None:
        raise BadForm("This time is over.")
    return due


PLANS: dict[str, Callable[[Center, Fields], Done]] = {
    "/schedules/add": _add,
    "/schedules/change": _change,
    "/schedules/remove": _remove,
    "/schedules/enable": _enable,
    "/schedules/disable": _disable,
    "/groups/put": _put_group,
    "/groups/remove": _remove_group,
}
"""By the path that a form is sent to."""
