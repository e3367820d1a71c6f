"""Remote procedure calls: a server makes objects' methods callable, a client has them as its own.

`Server` (or `simple_server_loop` for a whole program) and three clients: `Client` blocks, `AsyncioClient` has
coroutines, `BestEffortClient` blocks and goes on without a server. Several named targets share a port.
"""

from sipyco._rpc_asyncio_client import AsyncioClient
from sipyco._rpc_clients import BestEffortClient, Client
from sipyco._rpc_protocol import AutoTarget, IncompatibleServer
from sipyco._rpc_server import Server, simple_server_loop

__all__ = [
    "AsyncioClient", "AutoTarget", "BestEffortClient", "Client", "IncompatibleServer", "Server", "simple_server_loop",
]
