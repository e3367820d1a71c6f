"""The files of a master, for scripts that use them without it: nothing is written."""

from pathlib import Path

from corelog import device_db
from corelog.language import dataset_db
from corelog.language.datasets import LocalDatasetDB
from corelog.language.devices import LocalDeviceDB

__all__ = ["DatasetDB", "DeviceDB"]


class DeviceDB(LocalDeviceDB):
    """The device database of a file."""

    def __init__(self, backing_file: str):
        super().__init__(device_db.load(backing_file))


class DatasetDB(LocalDatasetDB):
    """The persistent datasets of a file, if there is one; changes are lost."""

    def __init__(self, persist_file: str):
        path = Path(persist_file)
        super().__init__(dataset_db.load(path) if path.exists() else {})

    def close_db(self) -> None:
        """Nothing is open."""
