"""The device database of a tree of boards, as the text of a `device_db.py`, from their system descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from corelog.boards.description import Description, DescriptionError, Numbers, names, new_numbers

# kind of a channel -> module and class of its driver
_DRIVERS = {
    "output": ("ttl", "TTLOut"),
    "inout": ("ttl", "TTLInOut"),
    "led": ("ttl", "TTLOut"),
    "counter": ("edge_counter", "EdgeCounter"),
}

_HEADER = '''\
# Device database of {primary}.
# Made by corelog ddb-template from the system description{plural}; add to it what is yours.

core_addr = "{core_addr}"

# CPU of each satellite, by its DRTIO destination.
satellite_cpu_targets = {cpus!r}

device_db = {{
    "core": {{
        "type": "local",
        "module": "{package}.coredevice.core",
        "class": "Core",
        "arguments": {{
            "host": core_addr,
            "ref_period": {ref_period!r},
            "analyzer_proxy": "core_analyzer",
            "target": "{cpu}",
            "satellite_cpu_targets": satellite_cpu_targets,
        }},
    }},
    # One log controller for the core device and all its satellites.
    "core_log": {{
        "type": "controller",
        "host": "::1",
        "port": 1068,
        "command": "aqctl_corelog -p {{port}} --bind {{bind}} " + core_addr,
    }},
    # Where ARTIQ's proxies are, for its dashboard{not_started}.
{proxies}    "satellite_cpu_targets": satellite_cpu_targets,
}}
'''

_PROXY = '''\
    "{name}": {{
        "type": "controller",
        "host": "::1",
        "port_proxy": {proxy},
        "port": {port},
{command}    }},
'''

_PROXY_COMMAND = """\
        "command": "{program} --port-proxy {{port_proxy}} --port-control {{port}} --bind {{bind}} " + core_addr,
"""
# name -> program, port of the proxy, port for control
_PROXIES = {
    "core_moninj": ("aqctl_moninj_proxy", 1383, 1384),
    "core_analyzer": ("aqctl_coreanalyzer_proxy", 1385, 1386),
}

_CHANNEL = '''
device_db["{name}"] = {{
    "type": "local",
    "module": "{package}.coredevice.{module}",
    "class": "{class_name}",
    "arguments": {{"channel": {channel:#08x}}},
}}
'''


def database(primary: Description, satellites: Mapping[int, Description], artiq: bool = False) -> str:
    """Text of the device database. satellites: by DRTIO destination.

    artiq: with ARTIQ's drivers instead of ours, and with its proxies as controllers that are started: they come with
    ARTIQ alone. Raises DescriptionError when the boards do not belong together.
    """
    _check(primary, satellites)
    package = "artiq" if artiq else "corelog"
    proxies = ""
    for name, (program, proxy, port) in _PROXIES.items():
        command = _PROXY_COMMAND.format(program=program) if artiq else ""
        proxies += _PROXY.format(name=name, proxy=proxy, port=port, command=command)
    text = _HEADER.format(
        primary=primary,
        plural="s" if satellites else "",
        core_addr=primary.core_addr,
        cpus={destination: board.cpu_target for destination, board in sorted(satellites.items())},
        package=package,
        ref_period=1 / (8 * primary.rtio_frequency),
        cpu=primary.cpu_target,
        not_started="" if artiq else "; --artiq adds the commands that start them",
        proxies=proxies,
    )
    numbers = new_numbers()
    for destination, board in [(0, primary), *sorted(satellites.items())]:
        text += f"\n# Destination {destination}: {board}\n"
        text += "".join(_channels(destination, board, package, numbers))
    return text


def _channels(destination: int, board: Description, package: str, numbers: Numbers) -> Iterator[str]:
    called = names([(channel.kind, channel.pads) for channel in board.channels], numbers)
    for name, channel in zip(called, board.channels, strict=True):
        module, class_name = _DRIVERS[channel.kind]
        yield _CHANNEL.format(
            name=name,
            package=package,
            module=module,
            class_name=class_name,
            channel=destination << 16 | channel.number,
        )


def _check(primary: Description, satellites: Mapping[int, Description]) -> None:
    if primary.base == "satellite":
        raise DescriptionError(f"{primary.variant} is a satellite; the first board must be standalone or a master")
    if primary.base == "standalone" and satellites:
        raise DescriptionError(f"{primary.variant} is standalone, it cannot have satellites")
    for destination, board in satellites.items():
        if not 1 <= destination <= 255:
            raise DescriptionError(f"destination {destination} of {board.variant} is not from 1 to 255")
        if board.base != "satellite":
            raise DescriptionError(f"{board.variant}, destination {destination}, is not a satellite but {board.base}")
        if board.rtio_frequency != primary.rtio_frequency:
            raise DescriptionError(
                f"rtio_frequency of {board.variant} is {board.rtio_frequency:g}, "
                f"of {primary.variant} {primary.rtio_frequency:g}: it must be the same on all boards"
            )
