"""Files that are replaced whole: a reader, or whoever comes after a kill, finds the old one or the new one."""

import os


def write(file, content, mode=0o644):
    """Writes text or bytes into a file with this mode, by way of another one in its folder.

    That one's name begins with a dot, so whoever lists manifests or settings there leaves it alone.
    """
    part = _beside(file)
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as target:
            os.fchmod(target.fileno(), mode)
            target.write(content if isinstance(content, bytes) else content.encode())
        os.replace(part, file)
    except BaseException:
        if os.path.lexists(part):
            os.unlink(part)
        raise


def link(target, file):
    """A link that is there at every moment, to the old target or the new one."""
    part = _beside(file)
    os.symlink(target, part)
    os.replace(part, file)


def _beside(file):
    folder, name = os.path.split(os.path.abspath(file))
    return os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
