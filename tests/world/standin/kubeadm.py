"""The kubeadm program: reads the command line and the documents, runs the command, says how it ended."""

import json
import os
import signal
import sys
import time

from . import node, options, say


def _run(argv):
    command, rest, flags = options.parse(argv)
    options.check_mixing(command, flags)
    if command == ("version",):
        # The only command that needs no certificates: it answers before the libraries for them are loaded.
        from . import cmd_version

        cmd_version.run(flags)
        return
    from . import commands

    commands.run(command, rest, flags)


def _process_start():
    """When this process began, in seconds since the epoch: its launcher and the start of Python count as ours, too."""
    with open("/proc/self/stat", encoding="ascii") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def _record(argv, begun, code):
    """One line for the world: from these it knows how much of the time was the stand-in's own."""
    file = node.setting("STANDIN_LOG")
    if file:
        line = {"node": node.host_name(), "argv": ["kubeadm", *argv], "start": begun, "end": time.time(), "exit": code}
        with open(file, "a", encoding="ascii") as log:
            log.write(json.dumps(line) + "\n")


class _Terminated(BaseException):
    """SIGTERM: nothing is tidied up, but the world hears of the end."""


def _terminated(*_):
    raise _Terminated()


def main(argv):
    """Runs one command; returns its exit code, or the negative number of the signal that ended it."""
    begun, code = _process_start(), 1
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _run(argv)
        code = 0
    except say.Failure as failure:
        say.err(f"error: {failure}\nTo see the stack trace of this error execute with --v=5 or higher")
        code = failure.code
    except _Terminated:
        code = -signal.SIGTERM
    except BrokenPipeError:
        # Who read the output has gone; the real one dies of it, too.
        code = 141
    finally:
        _record(argv, begun, code)
    return code


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    # Key generation ahead of need runs in threads that nobody has to wait for.
    os._exit(status)
