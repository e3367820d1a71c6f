"""Every public name of the original with its parameters, as users may pass them: by position or by name."""

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

# module -> name -> parameters with defaults as the original documents them, or None for what is no function.
# A method stands as Class.method, without self. `...` as default: there is one that callers cannot tell.
PUBLIC: dict[str, dict[str, str | None]] = {
    "pyon": {
        "encode": "x, pretty=False, **json_kw", "decode": "s, **json_kw", "store_file": "filename, x, **kw",
        "load_file": "filename, **kw", "wrap": "o", "register": "types, *, name, encode, decode",
        "deregister": "types, name",
    },
    "pyon_v1": {
        "encode": "x, pretty=False", "decode": "s", "store_file": "filename, x", "load_file": "filename",
    },
    "packed_exceptions": {
        "GenericRemoteException": None, "current_exc_packed": "", "raise_packed_exc": "pack",
    },
    "pc_rpc": {
        "AutoTarget": None, "IncompatibleServer": None,
        "Client": "host, port, target_name=..., timeout=None, ssl_config=None",
        "Client.select_rpc_target": "target_name", "Client.get_selected_target": "", "Client.get_rpc_id": "",
        "Client.get_local_host": "", "Client.close_rpc": "", "Client.get_rpc_method_list": "",
        "AsyncioClient": "", "AsyncioClient.connect_rpc": "host, port, target_name=..., ssl_config=None",
        "AsyncioClient.select_rpc_target": "target_name", "AsyncioClient.get_selected_target": "",
        "AsyncioClient.get_rpc_id": "", "AsyncioClient.get_local_host": "", "AsyncioClient.close_rpc": "",
        "BestEffortClient": "host, port, target_name, firstcon_timeout=1.0, retry=5.0, ssl_config=None",
        "BestEffortClient.close_rpc": "", "BestEffortClient.get_selected_target": "",
        "BestEffortClient.get_local_host": "",
        "Server": "targets, description=None, builtin_terminate=False, allow_parallel=False",
        "Server.start": "host, port, ssl_config=None", "Server.stop": "", "Server.wait_terminate": "",
        "simple_server_loop": "targets, host, port, description=None, allow_parallel=False, ssl_config=None, *, "
                              "loop=None",
    },
    "sync_struct": {
        "ModAction": None, "process_mod": "target, mod", "update_from_dict": "target, source",
        "Notifier": "backing_struct", "Notifier.append": "x", "Notifier.insert": "i, x", "Notifier.pop": "i=-1",
        "Publisher": "notifiers", "Publisher.start": "host, port, ssl_config=None", "Publisher.stop": "",
        "Publisher.publish": "notifier, mod",
        "Subscriber": "notifier_name, target_builder, notify_cb=None, disconnect_cb=None",
        "Subscriber.connect": "host, port, before_receive_cb=None, ssl_config=None", "Subscriber.close": "",
    },
    "broadcast": {
        "Broadcaster": "queue_limit=1024", "Broadcaster.start": "host, port, ssl_config=None", "Broadcaster.stop": "",
        "Broadcaster.broadcast": "name, obj",
        "Receiver": "name, notify_cb, disconnect_cb=None", "Receiver.connect": "host, port, ssl_config=None",
        "Receiver.close": "",
    },
    "logs": {
        "MultilineFormatter": "", "multiline_log_config": "level", "parse_log_message": "msg",
        "log_with_name": "name, level, msg, *args, extra=None, **kw",
        "LogParser": "source_cb", "LogParser.line_input": "msg", "LogParser.stream_task": "stream",
        "Server": "", "Server.start": "host, port, ssl_config=None", "Server.stop": "",
        "SourceFilter": "local_level, local_source", "SourceFilter.filter": "record",
        "LogForwarder": "host, port, reconnect_timer=5.0, queue_size=1000, ssl_config=None, **kw",
        "LogForwarder.start": "*, loop=None", "LogForwarder.stop": "",
    },
    "keepalive": {
        "set_keepalive": "sock, after_idle=None, interval=None, max_fails=None",
        "async_open_connection": "host, port, *args, after_idle=None, interval=None, max_fails=None, **kw",
        "create_connection": "host, port, *args, after_idle=None, interval=None, max_fails=None, **kw",
    },
    "pipe_ipc": {
        "AsyncioParentComm": "", "AsyncioParentComm.get_address": "",
        "AsyncioParentComm.create_subprocess": "*argv, **kw", "AsyncioParentComm.write": "data",
        "AsyncioParentComm.drain": "", "AsyncioParentComm.readline": "", "AsyncioParentComm.read": "n",
        "AsyncioChildComm": "address", "AsyncioChildComm.connect": "", "AsyncioChildComm.write": "data",
        "AsyncioChildComm.drain": "", "AsyncioChildComm.readline": "", "AsyncioChildComm.read": "n",
        "AsyncioChildComm.close": "",
        "ChildComm": "address", "ChildComm.read": "n", "ChildComm.readline": "", "ChildComm.write": "data",
        "ChildComm.close": "",
    },
    "remote_exec": {
        "RemoteExecServer": "initial_namespace", "RemoteExecServer.add_code": "code",
        "RemoteExecServer.call": "function, *args, **kwargs",
        "simple_rexec_server_loop": "target_name, target, host, port, description=None",
        "connect_global_rpc": "controller_rexec, host=None, port=3251, target='dataset_db', name='dataset_db'",
    },
    "common_args": {
        "verbosity_args": "parser", "init_logger_from_args": "args", "bind_address_from_args": "args",
        "simple_network_args": "parser, default_port, ssl=False",
    },
    "tools": {
        "TaskObject": "", "TaskObject.start": "*, loop=None", "TaskObject.stop": "", "BackgroundTaskPool": "loop=None",
        "BackgroundTaskPool.create": "coro", "AsyncioServer": "", "AsyncioServer.start": "host, port, ssl_config=None",
        "AsyncioServer.stop": "", "Condition": "*, loop=None", "Condition.wait": "", "Condition.notify": "",
        "atexit_register_coroutine": "coro_fn, *, loop=None", "SignalHandler": "", "SignalHandler.setup": "",
        "SignalHandler.teardown": "", "SignalHandler.wait_terminate": "", "HAS_SIGHUP": None,
        "SimpleSSLConfig": "local_cert, local_key, peer_cert", "SimpleSSLConfig.create_client_context": "",
        "SimpleSSLConfig.create_server_context": "",
    },
    "fire_and_forget": {"FFProxy": "target", "FFProxy.ff_join": ""},
    "arguments": {"formatargspec": "args, varargs=None, varkw=None, defaults=None, kwonlyargs=(), kwonlydefaults=..., "
                                   "annotations=..."},
    "sipyco_rpctool": {"main": ""},
}
COROUTINES = {
    "AsyncioClient.connect_rpc", "AsyncioClient.select_rpc_target", "AsyncioClient.close_rpc", "Server.start",
    "Server.stop", "Server.wait_terminate", "Publisher.start", "Publisher.stop", "Subscriber.connect",
    "Subscriber.close", "Broadcaster.start", "Broadcaster.stop", "Receiver.connect", "Receiver.close",
    "LogParser.stream_task", "LogForwarder.stop", "async_open_connection", "AsyncioParentComm.create_subprocess",
    "AsyncioParentComm.drain", "AsyncioParentComm.readline", "AsyncioParentComm.read", "AsyncioChildComm.connect",
    "AsyncioChildComm.drain", "AsyncioChildComm.readline", "AsyncioChildComm.read", "TaskObject.stop",
    "AsyncioServer.start", "AsyncioServer.stop", "Condition.wait", "SignalHandler.wait_terminate",
}
ALIASES = {"logging_tools": "logs", "asyncio_tools": "tools"}
ENTRIES = [(module, name) for module, names in PUBLIC.items() for name in names]


def parameters(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.name != "self"]


def described(text: str) -> list[inspect.Parameter]:
    namespace: dict[str, Any] = {}
    exec(f"def function({text}): pass", namespace)
    return parameters(inspect.signature(namespace["function"]))


@pytest.mark.parametrize(("module", "name"), ENTRIES, ids=[f"{module}.{name}" for module, name in ENTRIES])
def test_name_exists_with_the_parameters_of_the_original(module: str, name: str) -> None:
    found: Any = importlib.import_module(f"sipyco.{module}")
    for part in name.split("."):
        found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
    text = PUBLIC[module][name]
    if text is None:
        return
    assert inspect.iscoroutinefunction(found) == (name in COROUTINES)
    ours, theirs = parameters(inspect.signature(found)), described(text)
    by_name = {p.name: p for p in ours}
    positional = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    ours_by_position = [p for p in ours if p.kind in positional]
    for i, theirs_one in enumerate(p for p in theirs if p.kind in positional):
        ours_one = ours_by_position[i]
        assert ours_one.name == theirs_one.name and ours_one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert_same_default(ours_one, theirs_one)
    for theirs_one in theirs:
        if theirs_one.kind is inspect.Parameter.KEYWORD_ONLY:
            assert_same_default(by_name[theirs_one.name], theirs_one)
        elif theirs_one.kind is inspect.Parameter.VAR_POSITIONAL:
            assert any(p.kind is theirs_one.kind for p in ours)
    known = {p.name for p in theirs}
    for extra in ours:  # what is ours alone may be left out
        assert extra.name in known or extra.default is not extra.empty or extra.kind in (
            inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL), extra


def assert_same_default(ours: inspect.Parameter, theirs: inspect.Parameter) -> None:
    if theirs.default is ...:
        assert ours.default is not ours.empty
    else:
        assert ours.default == theirs.default and type(ours.default) is type(theirs.default)


def test_star_import_gives_the_public_names_and_nothing_that_is_not_ours() -> None:
    for module, names in PUBLIC.items():
        if module == "sipyco_rpctool":
            continue
        exported = set(importlib.import_module(f"sipyco.{module}").__all__)
        assert exported == {name for name in names if "." not in name}, module


@pytest.mark.parametrize("alias", ALIASES)
def test_deprecated_module_has_the_names_of_its_successor_and_warns(alias: str) -> None:
    code = (f"import warnings\nwith warnings.catch_warnings(record=True) as caught:\n warnings.simplefilter('always')\n"
            f" import sipyco.{alias} as old\nimport sipyco.{ALIASES[alias]} as new\n"
            "assert [w.category for w in caught] == [DeprecationWarning]\n"
            "assert all(getattr(old, name) is getattr(new, name) for name in new.__all__)\n")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_values_of_mod_actions_are_those_on_the_wire() -> None:
    from sipyco.sync_struct import ModAction
    assert [action.value for action in ModAction] == ["init", "append", "insert", "pop", "setitem", "delitem"]


def test_signatures_are_formatted_as_in_a_definition() -> None:
    from sipyco.arguments import formatargspec
    assert formatargspec([]) == "()"
    assert formatargspec(["a", "b"], "c", "d", (1,), ["e", "f"], {"f": "x"}, {"a": int, "e": "str", "return": None}) \
        == "(a: int, b=1, *c, e: str, f='x', **d) -> None"
    assert formatargspec(["a"], kwonlyargs=["b"], formatvalue=lambda value: "?") == "(a, *, b)"
    assert formatargspec(["a"], defaults=(1,), formatvalue=lambda value: "?") == "(a?)"
