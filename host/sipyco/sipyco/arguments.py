"""Signatures as text, from the fields of `inspect.getfullargspec`; for `sipyco_rpctool` and other front ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["formatargspec"]


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", repr(annotation))


def formatargspec(args: Sequence[str], varargs: str | None = None, varkw: str | None = None,
                  defaults: Sequence[Any] | None = None, kwonlyargs: Sequence[str] = (),
                  kwonlydefaults: Mapping[str, Any] | Sequence[Any] | None = None,
                  annotations: Mapping[str, Any] | None = None,
                  formatarg: Callable[[str], str] = str,
                  formatvarargs: Callable[[str], str] = lambda name: "*" + name,
                  formatvarkw: Callable[[str], str] = lambda name: "**" + name,
                  formatvalue: Callable[[Any], str] = lambda value: "=" + repr(value),
                  formatreturns: Callable[[str], str] = lambda text: " -> " + text,
                  formatannotation: Callable[[Any], str] = _annotation) -> str:
    """The signature as a `def` would have it, for instance ``(a: int, b=2, *, c) -> str``.

    The functions turn the parts into text. Annotations may be types or names of types.
    """
    known = annotations or {}
    by_keyword = dict(kwonlydefaults or {})

    def annotated(name: str, text: str) -> str:
        return f"{text}: {formatannotation(known[name])}" if name in known else text

    parts = [annotated(name, formatarg(name)) for name in args]
    values = list(defaults or ())
    for i, value in zip(range(len(parts) - len(values), len(parts)), values, strict=True):
        parts[i] += formatvalue(value)
    if varargs is not None:
        parts.append(annotated(varargs, formatvarargs(varargs)))
    elif kwonlyargs:
        parts.append("*")
    for name in kwonlyargs:
        parts.append(annotated(name, formatarg(name)) + (formatvalue(by_keyword[name]) if name in by_keyword else ""))
    if varkw is not None:
        parts.append(annotated(varkw, formatvarkw(varkw)))
    returns = formatreturns(formatannotation(known["return"])) if "return" in known else ""
    return f"({', '.join(parts)}){returns}"
