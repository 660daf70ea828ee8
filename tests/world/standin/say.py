"""What kubeadm prints: plain lines on standard output, and its log lines and errors on standard error."""

import os
import sys
import time


class Failure(Exception):
    """Ends the command: the text goes to standard error as kubeadm puts it, the code is the exit code."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


def out(text=""):
    """One line on standard output, at once: a command that is killed has said what it did."""
    print(text, flush=True)


def err(text):
    """One line on standard error, as it is."""
    print(text, file=sys.stderr, flush=True)


def warn(where, text):
    """A warning in the form of kubeadm's log: `where` is the source file and line the real one names."""
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}"
    err(f"W{stamp} {os.getpid():7d} {where}] {text}")


def duration(seconds):
    """A time span as Go prints it: 1.502291961s, 4.936427ms, 864.561us with a Greek mu."""
    if seconds >= 1:
        return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.6f}".rstrip("0").rstrip(".") + "ms"
    return f"{seconds * 1e6:.3f}".rstrip("0").rstrip(".") + "\u00b5s"


def whole(seconds):
    """A time-out as Go prints it: 4m0s, 40s, 1h0m0s."""
    seconds = int(seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return text + f"{seconds % 60}s"
