"""`@remote`, `method`, and what they give: actor classes, handles, remote methods.

Nothing here knows which engine runs. A handle is a token that its engine understands plus the plain
data of `ClassSpec`; it keeps no counts, because an actor lives until it is killed or the runtime ends.
Remote methods are made on first use and kept in the handle, so that `handle.m.remote()` in a loop
costs two attribute lookups.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Never, TypeVar, final, overload

from pullahead.actors.options import Options, unknown_option
from pullahead.actors.signatures import MARK, ClassSpec, MethodSpec, class_spec

if TYPE_CHECKING:
    from pullahead.actors.api import Engine
    from pullahead.actors.refs import ObjectRef

__all__ = ["ActorClass", "ActorHandle", "RemoteMethod", "method", "remote"]

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def remote(cls: type, /) -> ActorClass: ...
@overload
def remote(**options: Any) -> Callable[[type], ActorClass]: ...
def remote(*args: Any, **options: Any) -> Any:
    """Make a class an actor class: `@remote`, or `@remote(max_concurrency=4, name="q", ...)`.

    Raises:
        TypeError: for a function (use `pullahead.map`), or an unknown option.
        ValueError: for an option that cannot be honoured.
    """
    if not args:
        prepared = Options().merged(options)
        return lambda cls: ActorClass(_checked(cls), prepared)
    if len(args) != 1 or options:
        raise TypeError("use @remote, or @remote(name=..., max_concurrency=...) with keywords only")
    return ActorClass(_checked(args[0]), Options())


def _checked(target: Any) -> type:
    if isinstance(target, type):
        return target
    if isinstance(target, ActorClass):
        raise TypeError(f"{target!r} is an actor class already")
    if callable(target):
        name = getattr(target, "__name__", repr(target))
        raise TypeError(
            f"remote is for classes, and {name} is a function: "
            f"pullahead.map({name}, items) runs it in parallel"
        )
    raise TypeError(f"remote is for classes, got {target!r}")


def method(*, concurrency_group: str | None = None, deferred: bool = False) -> Callable[[_F], _F]:
    """Give one method of an actor class options of its own.

    Args:
        concurrency_group: run it on the threads of this group, so that it is served while a long call
            runs elsewhere.
        deferred: the method returns a `concurrent.futures.Future`; the reply is sent when the future is
            set, from any thread, and the actor goes on with the next call meanwhile.
    """
    marks: dict[str, Any] = {"concurrency_group": concurrency_group, "deferred": deferred}

    def mark(function: _F) -> _F:
        if deferred and inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} is async: it can await; deferred=True is for plain methods")
        setattr(function, MARK, marks)
        return function

    return mark


@final
class ActorClass:
    """A class that is run as an actor: `Cls.remote(...)` starts one and returns its handle."""

    def __init__(self, cls: type, options: Options) -> None:
        self._cls = cls
        self._options = options
        self._copy_names()

    def _copy_names(self) -> None:
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(self, name, getattr(self._cls, name))

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Start an actor. Returns at once; the constructor's exception is raised by the first `get`.

        Raises:
            TypeError: if the arguments do not fit the constructor.
            ValueError: if the name is taken.
        """
        return self._start(self._options, args, kwargs)

    def options(self, **options: Any) -> _Configured:
        """Return this class with other options: `Cls.options(name="q").remote()`."""
        return _Configured(self, self._options.merged(options))

    def _start(self, options: Options, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle:
        from pullahead.actors.api import current_engine

        spec = class_spec(self._cls).with_groups(tuple(options.concurrency_groups))
        spec.init.check(args, kwargs)
        for entry in spec.methods.values():
            _check_group(spec, entry.group, f"method {entry.name} of {spec.name}")
        return current_engine().create(self, spec, args, kwargs, options)

    @property
    def wrapped(self) -> type:
        """The user's own class."""
        return self._cls

    def reference(self) -> tuple[str, str] | None:
        """Return (module, qualified name) if importing them elsewhere gives this very actor class."""
        module, qualname = self._cls.__module__, self._cls.__qualname__
        if module == "__main__" or "<locals>" in qualname:
            return None
        return (module, qualname) if _lookup(module, qualname) in (self, self._cls) else None

    def __getstate__(self) -> dict[str, Any]:
        return {"_cls": self._cls, "_options": self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The class may be half built here: a class whose methods name itself unpickles in a circle.
        self.__dict__.update(state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        named = self.reference()
        return (_find_class, named) if named else super().__reduce_ex__(protocol)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Never:
        name = self._cls.__name__
        raise TypeError(
            f"{name} is an actor class: {name}.remote(...) starts one; {name}.wrapped is the class"
        )

    def __mro_entries__(self, bases: tuple[Any, ...]) -> Never:
        name = self._cls.__name__
        raise TypeError(f"an actor class cannot be a base: inherit from the plain class ({name}.wrapped)")

    def __repr__(self) -> str:
        return f"ActorClass({self._cls.__qualname__})"


def _lookup(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _find_class(module: str, qualname: str) -> Any:
    """Undo `ActorClass.reference`, in the process that must run it."""
    import importlib

    importlib.import_module(module)
    return _lookup(module, qualname)


def _check_group(spec: ClassSpec, group: str | None, where: str) -> None:
    if group is not None and group not in spec.groups:
        known = ", ".join(spec.groups) or "none: declare it with @remote(concurrency_groups={...})"
        raise ValueError(f"{where} names the concurrency group {group!r}; declared: {known}")


@final
class _Configured:
    """An actor class with other options."""

    def __init__(self, actor_class: ActorClass, options: Options) -> None:
        self._actor_class, self._options = actor_class, options

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Start an actor with these options."""
        return self._actor_class._start(self._options, args, kwargs)


@final
class ActorHandle:
    """An actor, seen from anywhere: `handle.method.remote(...)` calls it. It can be pickled."""

    # Names that no method of a user's class is likely to have: they would hide it.

    def __init__(self, engine: Engine, token: Any, spec: ClassSpec, name: str | None) -> None:
        self._actor_engine, self._actor_token, self._actor_spec, self._actor_name = engine, token, spec, name

    def __getattr__(self, name: str) -> RemoteMethod:
        try:
            spec = self.__dict__["_actor_spec"]
            entry = spec.methods[name]
        except KeyError:
            owner = self.__dict__["_actor_spec"].name if "_actor_spec" in self.__dict__ else "ActorHandle"
            raise AttributeError(f"actor {owner} has no method {name!r}") from None
        bound = RemoteMethod(self._actor_engine, self._actor_token, spec, entry, entry.group)
        self.__dict__[name] = bound
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_handle, (self._actor_token, self._actor_spec, self._actor_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and bool(self._actor_token == other._actor_token)

    def __hash__(self) -> int:
        return hash(self._actor_token)

    def __dir__(self) -> list[str]:
        return sorted(self._actor_spec.methods)

    def __repr__(self) -> str:
        return f"ActorHandle({label(self._actor_spec, self._actor_name)}, {self._actor_token})"


def restore_handle(token: Any, spec: ClassSpec, name: str | None) -> ActorHandle:
    """Build a handle from its pickled form, on the engine of this process."""
    from pullahead.actors.api import current_engine

    return ActorHandle(current_engine(), token, spec, name)


def label(spec: ClassSpec, name: str | None) -> str:
    """Name an actor in messages: its class, with its registered name if it has one."""
    return spec.name if name is None else f"{spec.name} {name!r}"


@final
class RemoteMethod:
    """One method of one actor."""

    __slots__ = ("_call", "_engine", "_entry", "_group", "_high", "_low", "_spec", "_token")

    def __init__(
        self, engine: Engine, token: Any, spec: ClassSpec, entry: MethodSpec, group: str | None
    ) -> None:
        self._engine, self._token, self._spec, self._entry, self._group = engine, token, spec, entry, group
        self._call, self._low, self._high = engine.call, entry.low, entry.high

    def remote(self, *args: Any, **kwargs: Any) -> ObjectRef:
        """Send a call. Returns at once; `get` the ref for the result.

        Raises:
            TypeError: if the arguments do not fit the method.
        """
        if kwargs or not self._low <= len(args) <= self._high:
            self._entry.check(args, kwargs)
        return self._call(self._token, self._entry.name, args, kwargs, self._group)

    def options(self, **options: Any) -> RemoteMethod:
        """Return this method with another `concurrency_group`, for this call."""
        for name in options.keys() - {"concurrency_group"}:
            raise unknown_option(name, ["concurrency_group"], "option of a call")
        group = options.get("concurrency_group", self._group)
        _check_group(self._spec, group, f"a call of {self._entry.name}")
        return RemoteMethod(self._engine, self._token, self._spec, self._entry, group)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Never:
        name = self._entry.name
        raise TypeError(f"{name} runs in another process: call {name}.remote(...), then get() the ref")

    def __repr__(self) -> str:
        return f"RemoteMethod({self._spec.name}.{self._entry.name})"
