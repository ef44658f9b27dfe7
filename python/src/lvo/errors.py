"""What goes wrong, as exceptions: each has the library's own line, which says what was expected and found."""

from typing import Dict, Type


class Error(Exception):
    """Whatever lvo reports. Its subclasses tell the kind, and are Python's own kinds too where there is
    one."""


class InvalidArgument(Error, ValueError):
    """An argument of the wrong shape, type or value: NaN, a layer or a feature that there is none of."""


class NotFound(Error, FileNotFoundError):
    """A model, a file or a part of a model that is missing or cannot be read."""


class BadFile(Error, ValueError):
    """A file that is damaged or does not fit."""


class Unsupported(Error, ValueError):
    """A sound file of a kind that lvo does not compute."""


class Closed(Error, RuntimeError):
    """The model, or whatever it was, has been closed."""


class Cancelled(Error):
    """Stopped by `cancel` or by a callback."""


class Forked(Error, RuntimeError):
    """Opened before `fork` and used in the child process: its threads are not there. Open it in the child."""


class OutOfMemory(Error, MemoryError):
    """A computation needs more memory than there is, or than was allowed."""


class CannotWrite(Error, OSError):
    """A file that cannot be written, or that exists already."""


class Failed(Error, ArithmeticError):
    """A result that is not finite, or another failure of a computation."""


# By the numbers of lvo.h.
BY_CODE: Dict[int, Type[Error]] = {
    1: InvalidArgument,
    2: NotFound,
    3: BadFile,
    4: Unsupported,
    5: Closed,
    6: Cancelled,
    7: Forked,
    8: OutOfMemory,
    9: CannotWrite,
    10: Failed,
}
