"""What can be called on an actor, as plain data that travels with every handle.

A handle may be unpickled where the user's class cannot be imported, so it must not need the class:
names, kinds and "has a default" are enough to refuse a wrong call at `.remote()`, before it costs a
round trip. A positional call whose count fits is judged by two comparisons; everything else is
judged by `inspect.Signature.bind`, so that the message is Python's own.
"""

from __future__ import annotations

import functools
import inspect
import marshal
from collections.abc import Callable
from typing import Any, final

__all__ = ["ClassSpec", "MethodSpec", "class_spec", "is_deferred"]

MARK = "__pullahead_method__"
"""The attribute that `method()` sets on a function: a dict of its options."""

_UNBOUNDED = 1 << 30
_Parameter = tuple[str, int, bool]  # name, kind, has a default

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@final
class MethodSpec:
    """One method: its name, its parameters, its concurrency group."""

    __slots__ = ("group", "high", "low", "name", "owner", "parameters")

    def __init__(self, owner: str, name: str, group: str | None, parameters: tuple[_Parameter, ...]) -> None:
        self.owner, self.name, self.group, self.parameters = owner, name, group, parameters
        positional = [has_default for _, kind, has_default in parameters if kind in _POSITIONAL]
        kinds = {kind for _, kind, _ in parameters}
        self.low = positional.count(False)
        self.high = _UNBOUNDED if inspect.Parameter.VAR_POSITIONAL in kinds else len(positional)
        if any(kind == inspect.Parameter.KEYWORD_ONLY and not default for _, kind, default in parameters):
            self.low = _UNBOUNDED + 1  # a keyword is required: no plain positional call can fit

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise TypeError where calling the method with these arguments would."""
        if not kwargs and self.low <= len(args) <= self.high:
            return
        try:
            _signature(self.parameters).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.owner}.{self.name}(): {error}") from None


@functools.lru_cache(maxsize=1024)
def _signature(parameters: tuple[_Parameter, ...]) -> inspect.Signature:
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect._ParameterKind(kind), default=None if has_default else empty)
            for name, kind, has_default in parameters
        ]
    )


@final
class ClassSpec:
    """One actor class: its name, its methods, its constructor, its concurrency groups."""

    __slots__ = ("groups", "init", "is_async", "methods", "name", "packed")

    def __init__(self, packed: bytes) -> None:
        name, is_async, groups, init, methods = _loads(packed)
        self.packed: bytes = packed
        self.name: str = name
        self.is_async: bool = is_async
        self.groups: tuple[str, ...] = groups
        self.init = MethodSpec(name, "__init__", None, init)
        self.methods = {m: MethodSpec(name, m, group, parameters) for m, group, parameters in methods}

    def with_groups(self, groups: tuple[str, ...]) -> ClassSpec:
        """Return this class with other concurrency groups."""
        if groups == self.groups:
            return self
        name, is_async, _, init, methods = _loads(self.packed)
        return unpack_spec(marshal.dumps((name, is_async, groups, init, methods)))

    def __reduce__(self) -> tuple[Any, ...]:
        return unpack_spec, (self.packed,)


def _loads(packed: bytes) -> Any:
    return marshal.loads(packed)  # noqa: S302  it comes from our own processes, inside a pickle


@functools.lru_cache(maxsize=1024)
def unpack_spec(packed: bytes) -> ClassSpec:
    """Build a spec once per process, however many handles name it."""
    return ClassSpec(packed)


def is_deferred(method: Any) -> bool:
    """Whether a method, bound or not, returns a future of its answer."""
    marks: dict[str, Any] = getattr(method, MARK, {})
    return bool(marks.get("deferred", False))


def class_spec(cls: type) -> ClassSpec:
    """Describe a class: its methods are its functions, private ones and `__call__` included."""
    methods = []
    is_async = False
    for name, member in inspect.getmembers(cls):
        if not callable(member) or (name.startswith("__") and name != "__call__"):
            continue
        if isinstance(member, type) or (name == "__call__" and not inspect.isfunction(member)):
            continue
        options = getattr(member, MARK, {})
        bound = not isinstance(inspect.getattr_static(cls, name), (staticmethod, classmethod))
        methods.append((name, options.get("concurrency_group"), _parameters(member, skip_self=bound)))
        is_async = is_async or inspect.iscoroutinefunction(member)
    init = _parameters(cls.__init__, skip_self=True)  # type: ignore[misc]  # we only look at its signature
    return unpack_spec(marshal.dumps((cls.__qualname__, is_async, (), init, tuple(methods))))


def _parameters(function: Callable[..., Any], skip_self: bool) -> tuple[_Parameter, ...]:
    if function is object.__init__:
        return ()
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C without a signature: the callee will judge
        return (("args", int(inspect.Parameter.VAR_POSITIONAL), False),
                ("kwargs", int(inspect.Parameter.VAR_KEYWORD), False))  # fmt: skip
    if skip_self and parameters and parameters[0].kind in _POSITIONAL:
        parameters = parameters[1:]
    return tuple((p.name, int(p.kind), p.default is not inspect.Parameter.empty) for p in parameters)
