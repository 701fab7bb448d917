"""What a person does in a scenario, here and at another client: words of a step to calls.

Room: tests/twoway. Here everything goes through `store.edit()`, as a host does it. Messages are named by label (all
that bear it, or `m@Folder` only those in one folder), folders by path.

    flag m +F -S +work     move m A     copy m A     append n/S A     create A     rename A B     rmdir A
    remove m               (for good)   subscribe A     unsubscribe A
    here:  trash m     replace m by n/D     download m     undo     cancel     retry     approve     resolve keep-mine
    there: renumber A     be word value (what a server does not take, as in `server`)
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable

from store import MailStore, Message
from store.mail import FolderId, FolderPath, MessageKey
from store.mail.conflicts import Choice
from store.mail.operations import OperationState

from ..scenarios.rig import ME
from .notation import changes_of, labels, letter, tokens
from .servers import ROLES, Far, labels_by_digest

__all__ = ["Hands", "there"]


class Hands:
    """A person at the store, who remembers the last batch."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._batch = 0

    def do(self, words: tuple[str, ...]) -> None:
        """Do one step in one batch."""
        verb, *rest = words
        match verb, rest:
            case "undo", []:
                with self._store.edit("undo") as editing:
                    editing.undo(self._batch)
            case (("cancel" | "retry" | "approve"), []):
                self._second_thought(verb)
            case "resolve", [choice]:
                with self._store.read() as view:
                    (open_one,) = view.conflicts(ME)
                with self._store.edit("resolve") as editing:
                    editing.resolve(open_one.id, Choice(choice))
            case _:
                self._edit(verb, rest)

    def _second_thought(self, verb: str) -> None:
        wanted = {
            "cancel": lambda state: state.pending,
            "retry": lambda state: state in (OperationState.LATER, OperationState.REFUSED),
            "approve": lambda state: state is OperationState.HELD,
        }[verb]
        with self._store.read() as view:
            ids = [one.id for one in view.operations(ME, pending=False) if wanted(one.state)]
        with self._store.edit(verb) as editing:
            getattr(editing, verb)(ids)

    def _edit(self, verb: str, rest: list[str]) -> None:
        with self._store.edit(verb) as editing:
            self._batch = editing.batch
            match verb, rest:
                case "flag", [names, *changes]:
                    add, remove = changes_of(tuple(changes))
                    editing.set_flags(self.keys(names), add=add, remove=remove)
                case "move", [names, path]:
                    editing.move(self.keys(names), self.folder(path))
                case "copy", [names, path]:
                    editing.copy(self.keys(names), self.folder(path))
                case "trash", [names]:
                    editing.delete(self.keys(names))
                case "remove", [names]:
                    editing.delete(self.keys(names), for_good=True)
                case "append", [text, path]:
                    for token in tokens(text):
                        one = letter(token.label)
                        editing.append(self.folder(path), one.octets, flags=token.flags, internal_date=one.arrived)
                case "replace", [name, "by", text]:
                    (old,) = self.messages(name)
                    (token,) = tokens(text)
                    one = letter(token.label)
                    editing.append(
                        old.folder_id, one.octets, flags=token.flags, internal_date=one.arrived, replaces=old.key
                    )
                case "download", [names]:
                    editing.mark_for_download(self.keys(names))
                case "create", [path]:
                    editing.create_folder(ME, FolderPath.parse(path), role=ROLES.get(path))
                case "rename", [old_path, new_path]:
                    editing.rename_folder(self.folder(old_path), FolderPath.parse(new_path))
                case "rmdir", [path]:
                    editing.delete_folder(self.folder(path))
                case (("subscribe" | "unsubscribe"), [path]):
                    editing.subscribe(self.folder(path), verb == "subscribe")
                case _:
                    raise ValueError(f"nobody can do this here: {verb} {rest}")

    def folder(self, path: str) -> FolderId:
        """Return the folder at *path*."""
        with self._store.read() as view:
            found = view.find_folder(ME, FolderPath.parse(path))
        assert found is not None, f"there is no folder {path} here"
        return found.id

    def keys(self, names: str) -> list[MessageKey]:
        """Return the messages that are named, in that order."""
        return [message.key for message in self.messages(names)]

    def messages(self, names: str) -> list[Message]:
        """Return the messages that are named ``a,b,x1..x3`` or ``a@Folder``, in that order."""
        wanted, _, path = names.partition("@")
        within = self.folder(path) if path else None
        with self._store.read() as view:
            page = view.all_messages(ME, limit=10_000).messages
        by_label: dict[str, list[Message]] = {}
        for message in sorted(page, key=lambda message: message.key):
            if within is None or message.folder_id == within:
                by_label.setdefault(message.subject, []).append(message)
        missing = [label for label in labels(wanted) if label not in by_label]
        assert not missing, f"not here: {missing}"
        return [message for label in labels(wanted) for message in by_label[label]]


def there(far: Far, words: tuple[str, ...]) -> None:
    """Do one step at another client."""
    verb, *rest = words
    each = _each(far)
    match verb, rest:
        case "flag", [names, *changes]:
            add, remove = changes_of(tuple(changes))
            each(names, lambda path, uids: far.flag(path, uids, add, remove))
        case (("move" | "copy"), [names, target]):
            each(names, lambda path, uids: far.transfer(path, uids, target, move=verb == "move"))
        case "remove", [names]:
            each(names, far.remove)
        case "append", [text, path]:
            for token in tokens(text):
                far.append(path, letter(token.label), token.flags)
        case "create", [path]:
            far.create(path)
        case "rename", [old, new]:
            far.rename(old, new)
        case "rmdir", [path]:
            far.delete(path)
        case (("subscribe" | "unsubscribe"), [path]):
            far.subscribe(path, verb == "subscribe")
        case "renumber", [path]:
            far.renumber(path)
        case "be", [*assignment]:
            far.become(tomllib.loads(" ".join(assignment)))
        case _:
            raise ValueError(f"no other client does this: {' '.join(words)}")


def _each(far: Far) -> Callable[[str, Callable[[str, list[int]], None]], None]:
    def doing(names: str, work: Callable[[str, list[int]], None]) -> None:
        wanted, _, within = names.partition("@")
        by_digest = labels_by_digest(labels(wanted))
        found: dict[str, list[int]] = {}
        for folder in far.seen().values():
            path = str(FolderPath(folder.path))
            for uid, message in folder.messages.items():
                if message.octets in by_digest and within in ("", path):
                    found.setdefault(path, []).append(uid)
        assert found, f"the server has none of {names}"
        for path, uids in found.items():
            work(path, sorted(uids))

    return doing
