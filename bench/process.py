"""The memory of a process, in MiB."""

from pathlib import Path


def resident(pid: int | str = "self") -> float:
    return _status(pid, "VmRSS")


def anonymous(pid: int | str = "self") -> float:
    """The resident memory that no file backs."""
    return _status(pid, "RssAnon")


def peak(pid: int | str = "self") -> float:
    """The peak since `forget_peak`, or since the start."""
    return _status(pid, "VmHWM")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(pid: int | str, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024
