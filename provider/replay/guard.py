"""Too much at once: what is asked of a person before mail is removed on the server by the hundred. Pure.

Only what is removed for good counts; a move to the trash can be taken back.
"""

from collections.abc import Iterable

from .collapse import FolderFact, FolderJob

__all__ = ["FREE_DELETIONS", "too_many_deletions", "whole_folder"]

FREE_DELETIONS = 50
SHARE = 5
"""One in so many of a folder may go without asking."""


def too_many_deletions(jobs: Iterable[FolderJob]) -> list[tuple[FolderJob, str]]:
    """Return the jobs that remove more than max(50, 20 %) of their folder, each with the reason for a person."""
    found = []
    for job in jobs:
        count, of = len(job.deletes), job.folder.listed
        if count > max(FREE_DELETIONS, of // SHARE):
            found.append((job, f"{count:,} of {of:,} messages of {job.folder.path} would be removed for good."))
    return found


def whole_folder(folder: FolderFact) -> str:
    """Return why the deletion of *folder* waits for a person, or nothing: it holds no mail."""
    mail = "1 message" if folder.listed == 1 else f"{folder.listed:,} messages"
    return f"The folder {folder.path} would be removed with {mail}." if folder.listed else ""
