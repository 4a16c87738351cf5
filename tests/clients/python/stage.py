"""What the scripts for the Python clients share: arguments, named steps, bounded waits, and a cable to cut.

Nothing here speaks to the API. A script is `stage.run(steps, make)`: `make` gives the object that every step gets, a step is a function
whose name is its claim. One line is printed for each; the first that fails ends the script with exit code 1.
"""

import contextlib
import faulthandler
import os
import socket
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

import yaml

GROUP, VERSION, PLURAL, KIND = "clients.example.test", "v1", "gadgets", "Gadget"
API_VERSION = f"{GROUP}/{VERSION}"
DEFINITION = Path(__file__).parent.parent / "gadget.yaml"

# No script takes longer, whatever hangs: then it tells where it stood.
LIMIT_SECONDS = 58
WAIT_SECONDS = 10


def run(steps, make):
    """Runs the steps in their order, each with what `make` gives for this script's namespace."""
    faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True)
    if len(sys.argv) != 2 or not os.environ.get("KUBECONFIG"):
        sys.exit(f"usage: KUBECONFIG=FILE {sys.argv[0]} NAMESPACE")
    subject = make(sys.argv[1])
    for step in steps:
        claim = step.__name__.replace("_", " ")
        try:
            step(subject)
        except Exception as error:
            traceback.print_exc()
            fail(f"{claim}: {type(error).__name__}: {error}")
        print(f"ok {claim}", flush=True)
    finish(0)


def fail(message):
    """Ends the script at its first failure."""
    print(f"failed {message}", flush=True)
    finish(1)


def finish(code):
    """Ends the process at once: threads that still watch are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def same(found, expected, what):
    """Two values are equal, or the step fails and shows both."""
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def wait_until(what, look, seconds=WAIT_SECONDS):
    """Looks again and again until something is found, and gives it."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def refused(kind, **expected):
    """The block fails with an error of this kind, whose attributes are the expected ones."""
    try:
        yield
    except kind as error:
        for name, value in expected.items():
            same(getattr(error, name), value, f"{name} of {error!r}")
        return
    raise AssertionError(f"nothing was refused, expected {kind.__name__}")


def gadget(name, namespace, **spec):
    """The least manifest of a Gadget."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def outgrow(write, is_gone):
    """Writes large values until the first versions are no longer kept; `is_gone` then meets the refusal.

    Kubernetes forgets with time, within minutes. This API also bounds the past by its size, some 64 MiB.
    """
    text = "x" * 1_000_000
    for number in range(160):
        write(f"{number} {text}")
        if number >= 64 and number % 8 == 0 and is_gone():
            return
    raise AssertionError("version 1 is still kept after so many large values")


class Story:
    """The changes that a watch is shown, some of them while its cable is cut, and what it must have seen of them.

    `create`, `change` and `delete` are the client's own calls, of `(name, note)`, `(name, note)` and `(name)`.
    """

    BEFORE = [("ADDED", "first", "one"), ("MODIFIED", "first", "two")]
    MEANWHILE = [("MODIFIED", "first", "three"), ("ADDED", "second", "one"), ("DELETED", "first", "three")]
    AFTER = [("MODIFIED", "second", "two")]
    WHOLE = BEFORE + MEANWHILE + AFTER

    def __init__(self):
        self.events = []
        self.versions = []
        self.told = False

    def see(self, event, name, note, version):
        """Notes one event of the watch, unless the story is over."""
        if self.told:
            return
        self.events.append((event, name, note))
        self.versions.append(int(version))

    def wait_for(self, events):
        """Waits until so many events have come."""
        try:
            wait_until("events", lambda: len(self.events) >= len(events))
        except AssertionError:
            same(self.events, events, "events of the watch")

    def tell(self, cable, create, change, delete):
        """Makes all the changes and checks that each was seen once and in order."""
        create("first", "one")
        # A client that lists before it watches would otherwise meet the second state first, and rightly.
        self.wait_for(self.BEFORE[:1])
        change("first", "two")
        self.wait_for(self.BEFORE)
        cable.cut()
        change("first", "three")
        create("second", "one")
        delete("first")
        cable.mend()
        self.wait_for(self.BEFORE + self.MEANWHILE)
        change("second", "two")
        self.wait_for(self.WHOLE)
        self.told = True
        self.check()

    def check(self):
        """Nothing lost, nothing twice, each with a later version than the one before."""
        same(self.events, self.WHOLE, "events of the watch")
        same(self.versions, sorted(set(self.versions)), "versions of the events")


class Cable:
    """A relay in front of the API that can be cut and mended: every connection through it breaks without a word."""

    def __init__(self):
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        cluster = config["clusters"][0]["cluster"]
        address = urlsplit(cluster["server"])
        self._target = (address.hostname, address.port)
        self._open = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._whole = threading.Event()
        self._whole.set()
        self.server = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        cluster["server"] = self.server
        self.config = config

    def cut(self):
        """Breaks every connection; new ones are broken at once."""
        with self._lock:
            self._whole.clear()
            for end in self._open:
                _break(end)
            self._open.clear()

    def mend(self):
        """Lets new connections through again."""
        self._whole.set()

    def wait_until_whole(self):
        """Waits until it is mended."""
        self._whole.wait(WAIT_SECONDS)

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            with self._lock:
                if not self._whole.is_set():
                    _break(near)
                    continue
                far = socket.create_connection(self._target, timeout=WAIT_SECONDS)
                far.settimeout(None)
                self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def _break(end):
    with contextlib.suppress(OSError):
        # Without lingering, closing sends a reset: the other side learns that the connection broke, not that it ended.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
