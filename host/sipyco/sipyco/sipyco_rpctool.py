"""Call a server's methods from the command line."""

import argparse
import code
import pprint
import sys
import textwrap
from typing import Any

import numpy as np

from sipyco.arguments import formatargspec
from sipyco.pc_rpc import AutoTarget, Client
from sipyco.tools import SimpleSSLConfig


def get_argparser() -> argparse.ArgumentParser:
    """The command line: [--ssl CERT KEY PEER] SERVER PORT [action]."""
    parser = argparse.ArgumentParser(description="Tool for calling methods of RPC servers")
    parser.add_argument("server", metavar="SERVER", help="host name or address of the server")
    parser.add_argument("port", metavar="PORT", type=int, help="TCP port of the server")
    parser.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"), default=None,
                        help="use TLS with own certificate and key, and the server's certificate (PEM files)")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=10.0,
                        help="for connecting (default %(default)g); calls take as long as they take")
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list-targets", help="list the targets of the server")
    list_methods = actions.add_parser("list-methods", help="list the methods of a target")
    call = actions.add_parser("call", help="call a method and print what it returns")
    interactive = actions.add_parser("interactive", help="call methods from a Python prompt (default)")
    for action in (list_methods, call, interactive):
        action.add_argument("-t", "--target", metavar="TARGET", default=AutoTarget,
                            help="target; may be left out if the server has only one")
    call.add_argument("method", metavar="METHOD", help="name of the method")
    call.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER,
                      help="arguments, each a Python expression; numpy is `np`")
    return parser


def list_targets(client: Client) -> None:
    """Print the names of the targets and the description of the server."""
    names, description = client.get_rpc_id()
    print("Target(s):   " + ", ".join(names))
    if description is not None:
        print("Description: " + description)


def _signature(name: str, spec: dict[str, Any]) -> str:
    """Without `self`. Annotations and defaults are only shown, so they may be anything."""
    args, defaults = list(spec["args"]), list(spec["defaults"] or ())
    if args and args[0] == "self":
        args = args[1:]
        defaults = defaults[-len(args):] if args else []
    return name + formatargspec(args, spec["varargs"], spec["varkw"], defaults, spec["kwonlyargs"],
                                spec["kwonlydefaults"], spec.get("annotations"))


def list_methods(client: Client) -> None:
    """Print signatures and documentation of the methods of the target."""
    described = client.get_rpc_method_list()
    if described["docstring"] is not None:
        print(described["docstring"])
        print()
    for name, (spec, docstring) in sorted(described["methods"].items()):
        print(_signature(name, spec))
        if docstring is not None:
            print(textwrap.indent(docstring, "    "))
        print()


def call_method(client: Client, method: str, args: list[str]) -> None:
    """Call a method with arguments written as Python expressions by the user of this tool; print the result."""
    result = getattr(client, method)(*[eval(arg, {"np": np}) for arg in args])
    if result is not None:
        pprint.pprint(result)


class _Namespace(dict[str, Any]):
    """The names of the prompt: those assigned there, then the remote methods."""

    def __init__(self, client: Client) -> None:
        super().__init__(np=np)
        self._client = client

    def __missing__(self, name: str) -> Any:
        try:
            return getattr(self._client, name)
        except AttributeError:
            raise KeyError(name) from None


class _Console(code.InteractiveConsole):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._globals: dict[str, Any] = {"__builtins__": __builtins__}
        self._names = _Namespace(client)

    def runcode(self, code: Any) -> None:
        try:
            exec(code, self._globals, self._names)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001  whatever was called; the prompt goes on
            trace = getattr(error, "parent_traceback", None)
            if trace is None:
                self.showtraceback()
                return
            print("Remote exception:")
            print(f"{type(error).__name__}: {error}")
            print("".join(trace), end="")


def interactive(client: Client) -> None:
    """A Python prompt at which the remote methods are names; ends at EOF."""
    sys.ps1 = f"({client.get_selected_target()}) "
    sys.ps2 = "... "
    _Console(client).interact(banner="", exitmsg="")


def main() -> None:
    """Exit status: 0, 2 for wrong usage, 1 with a traceback for anything else."""
    args = get_argparser().parse_args()
    ssl_config = None if args.ssl is None else SimpleSSLConfig(*args.ssl)
    action = args.action or "interactive"
    target = None if action == "list-targets" else getattr(args, "target", AutoTarget)
    client = Client(args.server, args.port, target, ssl_config=ssl_config, connect_timeout=args.timeout)
    try:
        if action == "list-targets":
            list_targets(client)
        elif action == "list-methods":
            list_methods(client)
        elif action == "call":
            call_method(client, args.method, args.args)
        else:
            interactive(client)
    finally:
        client.close_rpc()


if __name__ == "__main__":
    main()
