"""The bag of evidence: what has been measured, and what can be measured when a check asks for it."""

from collections.abc import Callable, Iterable
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from snellen.doctor.check import NotCheckable
from snellen.doctor.words import Text

__all__ = ["Evidence", "SourceFailed"]

Kind = TypeVar("Kind")
Source = Callable[..., object]


class SourceFailed(Exception):  # noqa: N818 - says what happened
    """A source of evidence broke while measuring; the cause is chained."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__(f"measuring {kind.__name__} failed")


class Evidence:
    """Evidence by its type, each kind measured once, when it is first asked for.

    Args:
        given: What is there already; every value is found under its own type.
        sources: Functions that measure. The type that one returns says what it supplies, the types of its parameters
            what it needs; parameters may be other evidence, and ``X | None`` where it can do without.
    """

    def __init__(self, given: Iterable[object] = (), sources: Iterable[Source] = ()) -> None:
        self._found: dict[type[Any], object] = {type(value): value for value in given}
        self._sources: dict[type[Any], Source] = {get_type_hints(source)["return"]: source for source in sources}

    def __contains__(self, kind: type[Any]) -> bool:
        return kind in self._found or kind in self._sources

    def get(self, kind: type[Kind]) -> Kind:
        """Return the evidence of a type.

        Raises:
            NotCheckable: If nobody supplies it, or its source lacks what it needs.
            SourceFailed: If its source broke.
        """
        if kind not in self._found:
            self._found[kind] = self._measured(kind)
        value = self._found[kind]
        if isinstance(value, NotCheckable | SourceFailed):
            raise value
        return value  # type: ignore[return-value]  # stored under its own type

    def _measured(self, kind: type[Any]) -> object:
        if kind not in self._sources:
            return NotCheckable(_absent(kind))
        try:
            source = self._sources[kind]
            return source(**self.arguments(source))
        except (NotCheckable, SourceFailed) as outcome:
            return outcome
        except Exception as error:  # noqa: BLE001 - kept, and raised to every check that asks
            failed = SourceFailed(kind)
            failed.__cause__ = error
            return failed

    def arguments(self, function: Callable[..., object]) -> dict[str, object]:
        """Return what the parameters of a function ask for.

        Raises:
            NotCheckable: If a kind that it cannot do without is not there.
            SourceFailed: If the source of one broke.
        """
        found: dict[str, object] = {}
        for name, kind in get_type_hints(function).items():
            if name == "return":
                continue
            wanted, may_lack = _optional(kind)
            try:
                found[name] = self.get(wanted)
            except NotCheckable:
                if not may_lack:
                    raise
                found[name] = None
        return found


def _optional(kind: Any) -> tuple[Any, bool]:
    """Return the type, and whether None will do."""
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    members = [member for member in get_args(kind) if member is not NoneType]
    return (members[0], True) if len(members) == 1 else (kind, False)


def _absent(kind: type[Any]) -> Text:
    told = getattr(kind, "ABSENT", None)
    if isinstance(told, Text):
        return told
    name = kind.__name__
    return Text(en=f"nothing was measured of the kind {name}", zh=f"没有测得 {name} 类证据")
