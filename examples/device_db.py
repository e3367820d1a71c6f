# Device database of the simulated board (`corelog board`).

core_addr = "127.0.0.1"

device_db = {
    "core": {
        "type": "local",
        "module": "corelog.coredevice.core",
        "class": "Core",
        # The board's nominal clock is 2 MHz: a coarse RTIO cycle of 500 ns has 8 machine units.
        "arguments": {"host": core_addr, "ref_period": 62.5e-9},
    },
    # One log controller for the core device and all its satellites, whose records have the names firmware.destN...
    "core_log": {
        "type": "controller",
        "host": "127.0.0.1",
        "port": 1068,
        "command": "aqctl_corelog -p {port} --bind {bind} --no-localhost-bind " + core_addr,
        "retry_timer": 0.2,
    },
    "slow0": {
        "type": "local",
        "module": "corelog.coredevice.rtio",
        "class": "RawOutput",
        "arguments": {"channel": 9},
    },
    "ttl8": {
        "type": "local",
        "module": "corelog.coredevice.ttl",
        "class": "TTLInput",
        "arguments": {"channel": 8},
    },
    # Counts the edges that ttl8 sees.
    "ttl8_counter": {
        "type": "local",
        "module": "corelog.coredevice.edge_counter",
        "class": "EdgeCounter",
        "arguments": {"channel": 10},
    },
    "ttl_loop_out": "ttl7",
    "ttl_loop_in": "ttl8",
}

for i in range(8):
    device_db[f"ttl{i}"] = {
        "type": "local",
        "module": "corelog.coredevice.ttl",
        "class": "TTLOut",
        "arguments": {"channel": i},
    }
