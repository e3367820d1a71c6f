"""What of an object can be called by a remote peer, and what is told about it."""

import functools
import inspect
import types
from typing import Any

from sipyco import pyon


def _is_computed(target: Any, name: str) -> bool:
    """Whether reading the attribute would run code of the target's class, as for a property."""
    attribute = getattr(type(target), name, None)
    if isinstance(attribute, property | functools.cached_property):
        return True
    kind = type(attribute)
    return hasattr(kind, "__set__") and not isinstance(attribute, types.MemberDescriptorType)


def get_method(target: Any, name: str) -> Any:
    """The method `name`. AttributeError for a missing or private one, TypeError for what is no method."""
    if not isinstance(name, str):
        raise TypeError("the name of a method must be a string")
    if name.startswith("_"):
        raise AttributeError(f"{type(target).__name__!r} has no public method {name!r}")
    method = None if _is_computed(target, name) else getattr(target, name)
    if not callable(method):
        raise TypeError(f"attribute {name!r} of {type(target).__name__!r} is not callable")
    return method


class Caller:
    """Finds the methods of one target for calls, checking each name once."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self._checked: set[str] = set()

    def method(self, name: str) -> Any:
        """As `get_method`."""
        if type(name) is str and name in self._checked:
            method = getattr(self.target, name)
            if callable(method):
                return method
        method = get_method(self.target, name)
        self._checked.add(name)
        return method


def method_names(target: Any) -> set[str]:
    """The names of the public methods. No property is evaluated."""
    names = set()
    for name in dir(target):
        if not name.startswith("_") and not _is_computed(target, name):
            try:
                attribute = getattr(target, name)
            except AttributeError:  # in dir(), but not there: an annotated slot, an abstract attribute
                continue
            if callable(attribute):
                names.add(name)
    return names


def describe(target: Any, builtin_terminate: bool) -> dict[str, Any]:
    """Documentation and signatures of the public methods, as the introspection request returns them."""
    methods: dict[str, Any] = {}
    for name in sorted(method_names(target)):
        method = getattr(target, name)
        methods[name] = (_signature(method), inspect.getdoc(method))
    if builtin_terminate:
        # As upstream sends it, down to the list: clients print it.
        spec = {"args": ["self"], "defaults": None, "varargs": None, "varkw": None, "kwonlyargs": [],
                "kwonlydefaults": []}
        methods["terminate"] = (spec, "Terminate the server.")
    return {"docstring": inspect.getdoc(target), "methods": methods}


def _signature(method: Any) -> dict[str, Any]:
    try:
        spec = inspect.getfullargspec(method)
    except TypeError:  # some builtin functions have none
        return {"args": [], "varargs": "args", "varkw": "kwargs", "defaults": None, "kwonlyargs": [],
                "kwonlydefaults": None, "annotations": {}}
    annotations = {name: getattr(value, "__name__", str(value)) for name, value in spec.annotations.items()}
    defaults = None if spec.defaults is None else tuple(_encodable(value) for value in spec.defaults)
    keyword_defaults = spec.kwonlydefaults
    if keyword_defaults is not None:
        keyword_defaults = {name: _encodable(value) for name, value in keyword_defaults.items()}
    return {"args": spec.args, "varargs": spec.varargs, "varkw": spec.varkw, "defaults": defaults,
            "kwonlyargs": spec.kwonlyargs, "kwonlydefaults": keyword_defaults, "annotations": annotations}


def _encodable(value: Any) -> Any:
    try:
        pyon.encode(value)
    except (TypeError, ValueError, AssertionError):
        return repr(value)
    return value
