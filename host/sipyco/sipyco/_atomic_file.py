"""Replace a file so that a reader, or a crash, meets either the old or the new contents, never a mixture."""

import contextlib
import os
import stat
import tempfile


def replace_text(filename: str | os.PathLike[str], text: str, sync: bool) -> None:
    """Write `text` as UTF-8 to `filename`. A new file gets mode 0600, an existing one keeps its mode.

    With `sync` the data is on the disk before the old contents go. On any failure the target is untouched and no
    temporary file remains.
    """
    path = os.path.realpath(filename)
    data = text.encode("utf-8", "surrogatepass")
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
