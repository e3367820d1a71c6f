"""What an experiment can do with its environment, beyond what `corelog run` shows."""

from typing import Any

import pytest

from corelog import experiment as names
from corelog.experiment import (
    EnvExperiment,
    HasEnvironment,
    NumberValue,
    TerminationRequested,
    kernel_from_string,
    portable,
    subkernel,
    syscall,
    watchdog,
)
from corelog.language import control, core
from corelog.language.datasets import LocalDatasetDB
from corelog.language.devices import DummyDevice, LocalDeviceDB
from corelog.language.environment import is_public_experiment
from corelog.language.managers import (
    DatasetManager,
    DeviceManager,
    ExamineDatasetManager,
    ExamineDeviceManager,
    Managers,
    ProcessArgumentManager,
    TraceArgumentManager,
)
from corelog.language.timeline import Timeline


def managers(arguments: dict[str, Any] | None = None, ask: Any = None) -> Managers:
    return Managers(DeviceManager(LocalDeviceDB({"d": {"type": "dummy"}})), DatasetManager(LocalDatasetDB()),
                    ProcessArgumentManager(arguments or {}, ask), {})


WANTED = """
EnvExperiment HasEnvironment Experiment NoDefault DefaultMissing CancelledArgsError PYONValue BooleanValue
EnumerationValue NumberValue StringValue NoScan RangeScan CenterScan ExplicitScan MultiScanManager Scannable
kernel portable rpc subkernel syscall host_only kernel_from_string set_watchdog_factory TerminationRequested
sequential parallel interleave delay_mu now_mu at_mu delay watchdog TNone TBool TInt32 TInt64 TFloat TStr TBytes
TByteArray TList TArray TTuple TRange32 TRange64 TVar ps ns us ms s mHz Hz kHz MHz GHz dB uV mV V kV uA mA A
nW uW mW W RTIOUnderflow RTIOOverflow RTIODestinationUnreachable"""


def test_everything_that_artiq_experiments_import_is_there() -> None:
    assert set(WANTED.split()) <= set(names.__all__) and all(hasattr(names, name) for name in names.__all__)


def test_interactive_arguments_become_attributes_at_the_end_of_the_block() -> None:
    asked: list[Any] = []

    def ask(descriptions: list[Any], title: str) -> dict[str, Any]:
        asked.append((title, [key for key, *_ in descriptions]))
        return {"x": 5}

    experiment = EnvExperiment(managers(ask=ask))
    with experiment.interactive("Alignment") as arguments:
        arguments.setattr_argument("x", NumberValue())
        arguments.setattr_argument("y", NumberValue(2), "group", "tip")
        assert asked == []
    assert (arguments.x, arguments.y) == (5, 2) and asked == [("Alignment", ["x", "y"])]
    with pytest.raises(ZeroDivisionError), experiment.interactive():
        raise ZeroDivisionError
    assert len(asked) == 1


def test_parts_share_the_environment_and_are_prepared_once_in_order() -> None:
    prepared: list[str] = []

    class Part(EnvExperiment):
        def build(self, name: str, parts: int) -> None:  # type: ignore[override]
            self.name = name
            self.setattr_argument(f"n{name}", NumberValue(1))
            self.set_default_scheduling(priority=99)
            for number in range(parts):
                Part(self, f"{name}{number}", 0)

        def prepare(self) -> None:
            prepared.append(self.name)
            super().prepare()

    class Whole(EnvExperiment):
        def build(self) -> None:  # type: ignore[override]
            self.set_default_scheduling(pipeline_name="other", flush=False)
            Part(self, "a", 2)
            Part(self, "b", 0)

    given = managers({"na0": 7})
    whole = Whole(given)
    whole.prepare()
    assert prepared == ["a", "a0", "a1", "b"]
    assert whole.children[0].children[0].na0 == 7  # type: ignore[attr-defined]
    assert given.scheduler_defaults == {"pipeline_name": "other", "flush": False}


def test_arguments_outside_of_build_are_refused() -> None:
    experiment = EnvExperiment(managers())
    with pytest.raises(TypeError, match=r"build\(\) only"):
        experiment.setattr_argument("x", NumberValue(1))


def test_attributes_set_in_build_are_known_as_invariant() -> None:
    class Some(HasEnvironment):
        def build(self) -> None:  # type: ignore[override]
            self.setattr_device("d")
            self.setattr_argument("x", NumberValue(1))

    assert Some(managers()).kernel_invariants == {"d", "x"}


def test_experiment_is_examined_without_its_devices_and_arguments() -> None:
    class Scan(EnvExperiment):
        argument_ui = "lab"

        def build(self) -> None:  # type: ignore[override]
            self.setattr_device("core")
            self.setattr_argument("n", NumberValue(self.get_dataset("default")))
            self.set_default_scheduling(priority=3)
            assert self.get_device_db() == {"x": 1}

    arguments, defaults = TraceArgumentManager(), {}  # type: ignore[var-annotated]
    scan = Scan((ExamineDeviceManager(LocalDeviceDB({"x": 1})),
                 ExamineDatasetManager(LocalDatasetDB({"default": (4, {})})), arguments, defaults))
    assert isinstance(scan.core, DummyDevice) and scan.n is None  # type: ignore[attr-defined]
    assert arguments.describe_arguments()["n"][0]["default"] == 4 and defaults == {"priority": 3}
    assert is_public_experiment(Scan) and not is_public_experiment(type("_Scan", (Scan,), {}))
    assert not is_public_experiment(EnvExperiment) and not is_public_experiment(scan)


def test_watchdog_is_the_workers_or_has_no_effect() -> None:
    with watchdog(1.0):
        pass
    entered: list[float] = []

    class Watchdog:
        def __init__(self, timeout: float):
            entered.append(timeout)

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    previous = control._factory
    control.set_watchdog_factory(Watchdog)
    try:
        with pytest.raises(TerminationRequested), watchdog(2.0):
            raise TerminationRequested
    finally:
        control.set_watchdog_factory(previous)
    assert entered == [2.0]


def timeline() -> Timeline:
    class Clock:
        def seconds_to_mu(self, seconds: float) -> int:
            return round(seconds * 1e9)

    return Timeline(lambda program: pytest.fail("nothing is asked of the device"), Clock(), 1 << 20)


def test_kernel_from_text_runs_with_its_parallel_blocks() -> None:
    function = kernel_from_string(["a", ("b", "TInt64")],
                                  "start = now_mu()\nwith parallel:\n    delay_mu(a)\n    delay_mu(b)\n"
                                  "return now_mu() - start", portable)
    with core.tracing(timeline()):
        assert function(3, 5) == 5


def test_what_only_artiqs_runtimes_can_do_is_refused_when_called() -> None:
    @subkernel(destination=1)
    def elsewhere() -> None: ...

    @syscall("runtime_name")
    def call() -> int:
        return 5

    with pytest.raises(NotImplementedError, match="subkernel"):
        elsewhere()
    assert call() == 5
    with core.tracing(timeline()), pytest.raises(NotImplementedError, match="system call"):
        call()


def test_frameworks_reach_the_managers_by_the_names_that_artiq_has() -> None:
    class Framework(EnvExperiment):
        def build(self) -> None:  # type: ignore[override]
            mangled = "_HasEnvironment__"
            devices, datasets, arguments = (getattr(self, f"{mangled}{name}_mgr")
                                            for name in ("device", "dataset", "argument"))
            datasets.set("x", 1, {}, True, False, True)
            published: list[Any] = []
            datasets._broadcaster.publish = published.append
            datasets.set("list", [2], {}, True)
            assert published and datasets.ddb.get("x") == 1
            assert devices.get_desc("d") == {"type": "dummy"} and devices.virtual_devices == {}
            assert arguments.unprocessed_arguments == {} and getattr(self, f"{mangled}scheduler_defaults") == {}

    Framework(managers())
