"""The fields of a form, read within bounds. Pure."""

from collections.abc import Mapping, Sequence

__all__ = ["BadForm", "Fields", "sentence"]

TEXT_CHARACTERS_MAX = 4_000
NUMBER_MAX = 2**63


class BadForm(ValueError):
    """A form makes no sense; ``str`` is one sentence for a person."""


class Fields:
    """What a form says.

    >>> Fields({"id": ["7", "x"], "name": [" work "]}).number("id")
    7
    """

    def __init__(self, given: Mapping[str, Sequence[str]]) -> None:
        self._given = given

    def text(self, name: str) -> str:
        """Return a field without the space around it; empty when it is not there. Raises BadForm when it is long."""
        text = next(iter(self._given.get(name, ())), "").strip()
        if len(text) > TEXT_CHARACTERS_MAX:
            raise BadForm(f"This is too long: {name}.")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a field, each once."""
        return tuple(dict.fromkeys(one.strip() for one in self._given.get(name, ()) if one.strip()))

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the lines of a field that are not empty, each once."""
        return tuple(dict.fromkeys(line.strip() for line in self.text(name).splitlines() if line.strip()))

    def ticked(self, name: str) -> bool:
        """Tell whether a box is ticked."""
        return bool(self.text(name))

    def number(self, name: str) -> int:
        """Return a field as a number of ours. Raises BadForm for anything else."""
        return _number(name, self.text(name))

    def numbers(self, name: str, count_max: int) -> tuple[int, ...]:
        """Return all values of a field as numbers, each once. Raises BadForm, also for more than *count_max*."""
        texts = self.texts(name)
        if len(texts) > count_max:
            raise BadForm(f"At most {count_max} at once.")
        return tuple(_number(name, text) for text in texts)

    def kept(self) -> dict[str, str]:
        """Return the first value of each field, to show a form again as it was filled in."""
        return {name: values[0][:TEXT_CHARACTERS_MAX] for name, values in self._given.items() if values}


def sentence(error: Exception) -> str:
    """Return what an error of ours says, as a sentence.

    >>> sentence(ValueError("a group has an account at least"))
    'A group has an account at least.'
    """
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 <= int(text) < NUMBER_MAX):
        raise BadForm(f"This is no number: {name}.")
    return int(text)
