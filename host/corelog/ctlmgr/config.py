"""What an entry of the device database asks of the controller manager."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BACKOFF_CAP = 60.0
"""Longest delay before a restart in seconds, unless the entry's retry_timer is longer."""


SSL_DIR = "ARTIQ_SSL_DIR"
"""Environment variable and placeholder: where this machine keeps its certificates."""


class ConfigError(Exception):
    """An entry cannot be run as it is; the text says why."""


@dataclass(frozen=True)
class ControllerConfig:
    """A controller to be run. Times are in seconds."""

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    ping_timer: float = 30.0
    ping_timeout: float = 30.0
    term_timeout: float = 30.0
    retry_timer: float = 5.0
    retry_timer_backoff: float = 1.1
    environment: Mapping[str, str] = field(default_factory=dict)
    ssl: tuple[str, str, str] | None = None
    """Client certificate, client key, server certificate (paths)."""

    def delay_after(self, delay: float) -> float:
        """The restart delay that follows `delay`."""
        return min(delay * self.retry_timer_backoff, max(BACKOFF_CAP, self.retry_timer))


def is_controller(entry: Any) -> bool:
    """Whether the entry is one that a controller manager runs."""
    return isinstance(entry, dict) and entry.get("type") == "controller" and "command" in entry


def from_entry(name: str, entry: Mapping[str, Any], bind: str) -> ControllerConfig:
    """The configuration of an entry with its placeholders filled in. Raises ConfigError."""
    values = _values(name, entry, bind)
    host, port = entry.get("host"), entry.get("port")
    if not isinstance(host, str) or not isinstance(port, int):
        raise ConfigError("its host must be a string and its port a number")
    try:
        command = tuple(shlex.split(_fill(entry["command"], values)))
    except ValueError as error:
        raise ConfigError(f"its command {entry['command']!r} cannot be split into words: {error}") from None
    if not command:
        raise ConfigError("its command is empty")
    environment = entry.get("environment", {})
    if not isinstance(environment, dict):
        raise ConfigError("its environment is not a dict")
    times = {key: _seconds(entry[key], key) for key in
             ("ping_timer", "ping_timeout", "term_timeout", "retry_timer", "retry_timer_backoff") if key in entry}
    return ControllerConfig(name, command, host, port, environment={str(k): str(v) for k, v in environment.items()},
                            ssl=ssl_paths(name, entry, bind), **times)


def ssl_paths(name: str, entry: Mapping[str, Any], bind: str) -> tuple[str, str, str] | None:
    """Client certificate, client key, server certificate, None for an entry without TLS. Raises ConfigError."""
    ssl = entry.get("simple_ssl_config")
    if ssl is None:
        return None
    values = _values(name, entry, bind)
    try:
        return (_fill(ssl["client_cert"], values), _fill(ssl["client_key"], values),
                _fill(ssl["server_cert"], values))
    except (KeyError, TypeError) as error:
        raise ConfigError(f"its simple_ssl_config lacks {error}") from None


def _values(name: str, entry: Mapping[str, Any], bind: str) -> dict[str, Any]:
    """What placeholders stand for."""
    values = {**entry, "name": name, "bind": bind}
    if SSL_DIR in os.environ:
        values[SSL_DIR] = os.environ[SSL_DIR]
    return values


def _fill(text: str, values: Mapping[str, Any]) -> str:
    try:
        return text.format_map(values)
    except KeyError as error:
        lack = f"{SSL_DIR} is not set in the environment" if error.args[0] == SSL_DIR else "the entry no such field"
        raise ConfigError(f"{text!r} has the placeholder {{{error.args[0]}}}, but {lack}") from None
    except (AttributeError, IndexError, ValueError) as error:
        raise ConfigError(f"{text!r} has a placeholder that cannot be filled in: {error}") from None


def _seconds(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(f"its {key} is {value!r}, not a positive number")
    return float(value)
