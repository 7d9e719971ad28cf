"""Label and field selectors as they stand in a URL, for lists that the syncer itself answers.

Grammar: apimachinery, pkg/labels/selector.go and pkg/fields/selector.go.
"""

import re
from collections.abc import Callable, Mapping

Matches = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_EXISTS = re.compile(rf"(?P<not>!\s*)?(?P<key>{_KEY})")
_EQUALS = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==?|!=)\s*(?P<value>{_VALUE})")
_COMPARES = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>[<>])\s*(?P<value>[0-9]{{1,18}})")
_IN = re.compile(rf"(?P<key>{_KEY})\s+(?P<not>not)?in\s*\((?P<values>[^()]*)\)")
_FIELD = re.compile(r"(?P<key>[A-Za-z.]+)(?P<operator>==?|!=)(?P<value>[^=!]*)")


class SelectorError(Exception):
    """A selector that no API server would take; the message says which part."""


def labels(text: str) -> Matches:
    """Whether labels match. Raises SelectorError."""
    terms = [_requirement(term.strip()) for term in re.split(r",(?![^()]*\))", text)] if text.strip() else []
    return lambda found: all(term(found) for term in terms)


def fields(text: str, known: frozenset[str]) -> Matches:
    """Whether fields match; only the `known` ones may be asked for. Raises SelectorError."""
    terms: list[Matches] = []
    for term in filter(None, text.split(",")):
        match = _FIELD.fullmatch(term.strip())
        if match is None:
            raise SelectorError(f"invalid selector: {term!r}")
        if match["key"] not in known:
            raise SelectorError(f"field label not supported: {match['key']}")
        terms.append(_equal(match["key"], match["value"], wanted=match["operator"] != "!="))
    return lambda found: all(term(found) for term in terms)


def _requirement(text: str) -> Matches:
    if match := _IN.fullmatch(text):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return _among(match["key"], values, wanted=not match["not"])
    if match := _EQUALS.fullmatch(text):
        return _equal(match["key"], match["value"], wanted=match["operator"] != "!=")
    if match := _COMPARES.fullmatch(text):
        return _compared(match["key"], int(match["value"]), greater=match["operator"] == ">")
    if match := _EXISTS.fullmatch(text):
        key, wanted = match["key"], not match["not"]
        return lambda found: (key in found) is wanted
    raise SelectorError(f"unable to parse requirement: {text!r}")


def _equal(key: str, value: str, *, wanted: bool) -> Matches:
    """A key that is not there is not equal to anything."""
    return _among(key, frozenset({value}), wanted=wanted)


def _among(key: str, values: frozenset[str], *, wanted: bool) -> Matches:
    return lambda found: (key in found and found[key] in values) is wanted


def _compared(key: str, bound: int, *, greater: bool) -> Matches:
    def matches(found: Mapping[str, str]) -> bool:
        try:
            number = int(found[key])
        except (KeyError, ValueError):
            return False
        return number > bound if greater else number < bound

    return matches
