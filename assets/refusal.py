"""The one way anything in Cadenza says no: a sentence with the field, the value, what is valid and what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from copy import copy
from difflib import get_close_matches
from typing import Any, Self


class Refusal(ValueError):
    """An input that cannot be honoured. Nothing was changed by it and the caller may go on.

    code    a short stable word for programs ("unknown", "out_of_range", "type", "corrupt", "version", "too_large", ...)
    field   the dotted name of what was wrong, as the caller wrote it ("sampler", "options.s_churn", "files.step.onnx")
    remedy  what to do about it, one clause
    """

    def __init__(self, code: str, field: str, sentence: str, remedy: str = "") -> None:
        self.code, self.field, self.sentence, self.remedy = code, field, sentence, remedy
        super().__init__(f"{field}: {sentence}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Whatever its kind is made of; processes of a pool hand it on, too."""
        return _made_again, (type(self), self.args, self.__dict__)

    def afresh(self) -> Self:
        """One like it to raise: what is raised holds the frames of who asked, and one that is kept would keep them."""
        return copy(self)

    def inside(self, outer: str) -> Refusal:
        """The same of a field that is a part of another."""
        return Refusal(self.code, f"{outer}.{self.field}", self.sentence, self.remedy)


def _made_again(kind: type[Refusal], args: tuple[Any, ...], fields: dict[str, Any]) -> Refusal:
    made = kind.__new__(kind)
    made.args = args
    made.__dict__.update(fields)
    return made


def noted(error: Exception) -> Exception:
    """The error; one that nobody raised on purpose is logged with where it came from, for whoever has to mend it."""
    if not isinstance(error, Refusal) and error.__traceback__ is not None:
        logging.getLogger("cadenza").error("a request failed, and nobody refused it on purpose", exc_info=error)
    return error


def alone(error: Exception) -> Exception:
    """The error to be kept: noted, and without the frames it passed through, which hold all that they knew, itself too."""
    return noted(error).with_traceback(None)


_WHERE = re.compile(r" - at `(key` in `)?\$\.?(.*)`$")
_LACKS = re.compile(r"Object missing required field `(.*)`")
_OUTSIDE = re.compile(r"Expected `\w+`( of length)? [<>]")


def misread(error: Exception, whole: str, remedy: str = "") -> Refusal:
    """What msgspec says of a value that does not fit, by the field that it is about; `whole` names all of it."""
    sentence, where = str(error), _WHERE.search(str(error))
    field = where[2] if where else ""
    if where:
        sentence = sentence[: where.start()] + (" for a key" if where[1] else "")
    if lacks := _LACKS.fullmatch(sentence):
        return Refusal("missing", f"{field}.{lacks[1]}".lstrip("."), "is missing", remedy)
    return Refusal("out_of_range" if _OUTSIDE.match(sentence) else "type", field or whole, sentence[:300], remedy)


class Unknown(Refusal):
    """A name that is not in the list of valid names."""

    def __init__(self, field: str, value: object, valid: Iterable[str]) -> None:
        names = [str(name) for name in valid]
        near = get_close_matches(str(value), names, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        super().__init__("unknown", field, f"{value!r} is not known", f"{remedy}valid: {', '.join(names)}")


class OutOfRange(Refusal):
    """A value of the right type outside what is valid; `valid` is a phrase such as 'a whole number from 1 to 1000'."""

    def __init__(self, field: str, value: object, valid: str, remedy: str = "") -> None:
        super().__init__("out_of_range", field, f"{value!r} is out of range, valid is {valid}", remedy)


class WrongType(Refusal):
    """A value of the wrong type; `valid` names the type expected."""

    def __init__(self, field: str, value: object, valid: str) -> None:
        super().__init__("type", field, f"expected {valid}, got {type(value).__name__} {value!r:.60}")


class Corrupt(Refusal):
    """Data that is not what it says it is: a digest that differs, a truncated file, a malformed header."""

    def __init__(self, field: str, sentence: str, remedy: str = "") -> None:
        super().__init__("corrupt", field, sentence, remedy)
