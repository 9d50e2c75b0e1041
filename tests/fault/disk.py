"""disk - disks of the tests' own: a loop ext4 or a tmpfs that can be filled, emptied of inodes, or lose its power.

All need root and a kernel with loop devices; CannotMount says when there is none. A disk is a context manager: what it mounted is
gone at the end, also after a failure. Nothing outside the directory given is touched. No import of the harness, so that tests of
lib/journal use it too.
"""
import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2  # what only the page cache and the file system's journal in memory have is lost
MIB = 1 << 20


class CannotMount(Exception):
    """No root, no loop device, or no such file system here."""


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMount(f"{' '.join(str(part) for part in command)}: {done.stderr.strip()[:200]}")
    return done.stdout


class Disk:
    """A file system of its own under directory: files lie in .path. The kinds below say how it is mounted."""

    def __init__(self, directory, size_mib=256):
        self.directory = pathlib.Path(directory)
        self.size_mib = size_mib
        self.path = self.directory / "disk"
        self.is_mounted = False

    def __enter__(self):
        if os.geteuid() != 0:
            raise CannotMount("needs root")
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.make()
            self.mount()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def make(self):
        """What must be there before mount()."""

    def umount(self, is_lazy=False):
        """Waits for processes that just ended; lazily where somebody still holds on."""
        deadline = time.monotonic() + 10
        while self.is_mounted:
            done = subprocess.run(["umount", *(["-l"] if is_lazy else []), str(self.path)], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                self.is_mounted = False
            elif time.monotonic() > deadline:
                raise OSError(errno.EBUSY, done.stderr.strip(), str(self.path))
            else:
                time.sleep(0.05)

    def close(self):
        with contextlib.suppress(FileNotFoundError):
            (self.path / "desg-filler").unlink()
        try:
            self.umount()
        except OSError:
            self.umount(is_lazy=True)

    # --- faults ---

    def free_bytes(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes=0):
        """Takes what is free but leave_bytes. With nothing left to leave, to the last block."""
        with open(self.path / "desg-filler", "ab") as filler:
            size = filler.tell()
            step = 16 * MIB
            while self.free_bytes() > leave_bytes and step >= 4096:
                amount = min(step, self.free_bytes() - leave_bytes)
                try:
                    os.posix_fallocate(filler.fileno(), size, max(4096, amount // 4096 * 4096))
                    size += max(4096, amount // 4096 * 4096)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 4
        return self.free_bytes()

    def unfill(self):
        (self.path / "desg-filler").unlink()
        return self.free_bytes()


class Ext4(Disk):
    """ext4 in a file, on a loop device. options: more for mkfs.ext4."""

    def __init__(self, directory, size_mib=256, options=()):
        super().__init__(directory, size_mib)
        self.image = self.directory / "desg-disk.img"
        self.options = options

    def make(self):
        if not shutil.which("mkfs.ext4"):
            raise CannotMount("mkfs.ext4 is not installed")
        with open(self.image, "wb") as image:
            image.truncate(self.size_mib * MIB)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", *self.options, self.image)

    def mount(self):
        # Its own commits of the file system's journal come late: what was not synced is not there.
        _run("mount", "-t", "ext4", "-o", "loop,commit=300", self.image, self.path)
        self.is_mounted = True

    def cut_power(self):
        """From now on all writing fails, and nothing unsynced will be there after mending()."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        except OSError as error:
            raise CannotMount(f"FS_IOC_SHUTDOWN: {error.strerror}") from error
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def frozen(self):
        """All that was written is in the image, and nothing more comes: what a volume's snapshot sees."""
        _run("fsfreeze", "--freeze", self.path)
        try:
            yield self.image
        finally:
            _run("fsfreeze", "--unfreeze", self.path)

    def mend(self):
        """Power is back: mounted again, the file system's own recovery done. Its users must have ended. A mount namespace made
        meanwhile, a container's say, may hold the dead file system: then what reached the image goes on as another one."""
        self.umount()
        if _run("losetup", "--associated", self.image):
            self._become(self.image)
        self.mount()

    def put_back(self, snapshot):
        """The volume as it was when snapshot was copied. Its users must have ended."""
        self.umount()
        self._become(snapshot)
        self.mount()

    def _become(self, image):
        """A new file: one that is still a loop device somewhere would be mounted as it is in memory."""
        fresh = self.image.with_suffix(".fresh")
        _run("cp", "--sparse=always", image, fresh)
        fresh.replace(self.image)

    def close(self):
        super().close()
        self.image.unlink(missing_ok=True)


class Tmpfs(Disk):
    """A tmpfs: its files can be full, never lose power. inodes: 0 for as many as it likes."""

    def __init__(self, directory, size_mib=64, inodes=0):
        super().__init__(directory, size_mib)
        self.inodes = inodes

    def mount(self):
        options = f"size={self.size_mib}m,mode=0700" + (f",nr_inodes={self.inodes}" if self.inodes else "")
        _run("mount", "-t", "tmpfs", "-o", options, "desg-tmpfs", self.path)
        self.is_mounted = True


def fiu(command, **shares):
    """The command under libfiu. shares: how often calls fail, as in pwrite=0.05, pwrite_reduce=0.02 (a short write)."""
    if not shutil.which("fiu-run"):
        raise CannotMount("fiu-run is not installed")
    switches = []
    for call, share in shares.items():
        name = "posix/io/" + ("sync/" if call.endswith("sync") else "rw/") + call.replace("_", "/")
        switches += ["-c", f"enable_random name={name},probability={share}"]
    return ["fiu-run", "-x", *switches, *[str(part) for part in command]]
