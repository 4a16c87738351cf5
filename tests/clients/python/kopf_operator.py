"""What a kopf operator does against this API: its handlers run once for each change, and when they are done it falls silent.

kopf keeps its state in the objects: finalizers by JSON patch with a test of the version, progress and the last seen spec by merge patch.
A server that gets one of these wrong makes it patch for ever; so every request of the operator is counted on its way out.

The operator runs in a thread; the person who changes objects is the official client. `KUBECONFIG=FILE kopf_operator.py NAMESPACE`
"""

import asyncio
import dataclasses
import logging
import threading
import time
from collections import Counter

import aiohttp
import kopf
import stage
from kubernetes import client, config, utils

FINALIZER = "clients.example.test/kopf"
LAST_SEEN = "kopf.zalando.org/last-handled-configuration"
# The most that one change may cost: the finalizer, the progress of each handler, their results, the last seen spec.
PATCHES = 6
QUIET_SECONDS = 1.5


class Operator:
    """A kopf operator with one handler of each sort, which notes what it was called for."""

    def __init__(self, namespace, cable, **watching):
        self.calls = []
        self.requests = Counter()
        self.may_delete = threading.Event()
        self._namespace, self._cable = namespace, cable
        self._stop, self._ready = threading.Event(), threading.Event()
        self._settings = kopf.OperatorSettings()
        self._settings.persistence.finalizer = FINALIZER
        self._settings.networking.error_backoffs = [0.2] * 20
        for name, value in watching.items():
            setattr(self._settings.watching, name, value)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(stage.WAIT_SECONDS), "the operator was not ready in time"

    def stop(self):
        """Asks it to end, and waits."""
        self._stop.set()
        self._thread.join(stage.WAIT_SECONDS)
        assert not self._thread.is_alive(), "the operator did not end"

    def called(self, handler, name):
        """What a handler was called with for an object, call by call."""
        return [what for done, of, what in self.calls if (done, of) == (handler, name)]

    def _run(self):
        operator = kopf.operator(
            registry=self._registry(), settings=self._settings, namespaces=[self._namespace],
            stop_flag=self._stop, ready_flag=self._ready,
        )
        asyncio.run(operator)

    def _registry(self):
        registry = kopf.OperatorRegistry()
        place = (stage.GROUP, stage.VERSION, stage.PLURAL)

        @kopf.on.login(registry=registry)
        async def login(settings, **_):
            info = dataclasses.replace(kopf.login_with_kubeconfig(settings=settings), server=self._cable.server)
            trace = aiohttp.TraceConfig()

            async def count(_session, _context, request):
                self.requests[request.method] += 1

            trace.on_request_start.append(count)
            connector = aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=0)
            session = aiohttp.ClientSession(connector=connector, trace_configs=[trace])
            return kopf.AiohttpSession(server=info.server, aiohttp_session=session)

        @kopf.on.resume(*place, registry=registry)
        def resumed(name, **_):
            self.calls.append(("resume", name, None))

        @kopf.on.create(*place, id="made", registry=registry)
        def made(name, namespace, spec, body, patch, **_):
            self.calls.append(("create", name, spec.get("note")))
            patch.status["replicas"] = spec["replicas"]
            kopf.info(body, reason="Polished", message=f"{name} shines")
            return {"note": spec.get("note")}

        @kopf.on.update(*place, registry=registry)
        def changed(name, diff, **_):
            self.calls.append(("update", name, [tuple(one) for one in diff]))

        @kopf.on.field(*place, field="spec.size", registry=registry)
        def resized(name, old, new, **_):
            self.calls.append(("field", name, (old, new)))

        @kopf.on.delete(*place, registry=registry)
        def unmade(name, **_):
            self.calls.append(("delete", name, None))
            if not self.may_delete.wait(stage.WAIT_SECONDS):
                raise kopf.PermanentError("nobody allowed the deletion")

        @kopf.on.create(*place, annotations={"fails": "once"}, registry=registry)
        def stumbled(name, retry, **_):
            self.calls.append(("retry", name, retry))
            if retry == 0:
                raise kopf.TemporaryError("once more, please", delay=0.5)

        return registry


class Person:
    """Who makes, changes and deletes Gadgets, with the straight connection; and the operator's cable."""

    def __init__(self, namespace):
        config.load_kube_config()
        logging.getLogger("kopf").setLevel(logging.CRITICAL)
        self.namespace = namespace
        self.cable = stage.Cable()
        self.operator = None
        self.api = client.ApiClient()
        self.core = client.CoreV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.place = dict(group=stage.GROUP, version=stage.VERSION, namespace=namespace, plural=stage.PLURAL)

    def create(self, name, annotations=None, **spec):
        body = stage.gadget(name, self.namespace, **spec)
        body["metadata"]["annotations"] = annotations or {}
        self.custom.create_namespaced_custom_object(body=body, **self.place)

    def get(self, name):
        return self.custom.get_namespaced_custom_object(name=name, **self.place)

    def change(self, name, **spec):
        self.custom.patch_namespaced_custom_object(name=name, body={"spec": spec}, **self.place)

    def delete(self, name):
        self.custom.delete_namespaced_custom_object(name=name, **self.place)

    def is_gone(self, name):
        try:
            self.get(name)
        except client.exceptions.NotFoundException:
            return True
        return False

    def settled(self, name, since, patches=PATCHES):
        """Waits until nobody writes any more: the version stands still, no patch is sent, and few were sent at all."""
        operator = self.operator

        def state():
            return self.get(name)["metadata"]["resourceVersion"], operator.requests["PATCH"]

        before = None
        end = time.monotonic() + stage.WAIT_SECONDS
        while before != (now := state()):
            assert time.monotonic() < end, f"the operator does not fall silent: {operator.requests}"
            before = now
            time.sleep(QUIET_SECONDS)
        sent = now[1] - since
        assert sent <= patches, f"{sent} patches for one change, expected at most {patches}"
        return self.get(name)

    def sent(self):
        """How many patches the operator has sent."""
        return self.operator.requests["PATCH"]


def an_operator_starts(person):
    utils.create_from_yaml(person.api, str(stage.DEFINITION), apply=True)
    person.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=person.namespace)))
    person.operator = Operator(person.namespace, person.cable)


def a_new_object_is_handled_once(person):
    operator = person.operator
    since = person.sent()
    person.create("lamp", note="one")
    stage.wait_until("the creation to be handled", lambda: operator.called("create", "lamp"))
    lamp = person.settled("lamp", since)
    stage.same(operator.called("create", "lamp"), ["one"], "calls for the creation")
    stage.same(operator.called("update", "lamp"), [], "calls for an update that was none")
    stage.same(lamp["metadata"]["finalizers"], [FINALIZER], "the finalizers")
    assert LAST_SEEN in lamp["metadata"]["annotations"], lamp["metadata"]
    stage.same((lamp["status"]["replicas"], lamp["status"]["made"]), (1, {"note": "one"}), "the status")


def an_event_of_the_operator_arrives(person):
    def messages():
        uid = person.get("lamp")["metadata"]["uid"]
        found = person.core.list_namespaced_event(person.namespace, field_selector=f"involvedObject.uid={uid}")
        return [(event.reason, event.message) for event in found.items]

    stage.same(stage.wait_until("the Event", messages), [("Polished", "lamp shines")], "the Events")


def a_change_is_handled_once_with_its_difference(person):
    operator = person.operator
    since = person.sent()
    person.change("lamp", note="two", size="large")
    stage.wait_until("the change to be handled", lambda: operator.called("update", "lamp"))
    person.settled("lamp", since)
    (difference,) = operator.called("update", "lamp")
    expected = [("change", ("spec", "note"), "one", "two"), ("change", ("spec", "size"), "small", "large")]
    stage.same(sorted(difference), expected, "the difference")
    # kopf tells a handler of a field about the creation too.
    stage.same(operator.called("field", "lamp"), [(None, "small"), ("small", "large")], "calls for the field")
    stage.same(operator.called("create", "lamp"), ["one"], "calls for the creation")


def a_change_that_is_none_wakes_nobody(person):
    calls, sent = list(person.operator.calls), person.sent()
    person.change("lamp", note="two")
    body = {"status": {"selector": "app=lamp"}}
    person.custom.patch_namespaced_custom_object_status(name="lamp", body=body, **person.place)
    person.settled("lamp", sent, patches=0)
    stage.same(person.operator.calls, calls, "the calls")


def a_handler_that_stumbles_is_called_again(person):
    operator = person.operator
    since = person.sent()
    person.create("vase", annotations={"fails": "once"})
    stage.wait_until("the second try", lambda: len(operator.called("retry", "vase")) == 2)
    vase = person.settled("vase", since, patches=2 * PATCHES)
    stage.same(operator.called("retry", "vase"), [0, 1], "the tries")
    stage.same(operator.called("create", "vase"), [None], "calls of the other handler")
    left = [one for one in vase["metadata"]["annotations"] if one.startswith("kopf.zalando.org/") and one != LAST_SEEN]
    stage.same((left, vase["status"].get("kopf")), ([], None), "progress that is done with")


def changes_made_while_the_cable_is_cut_are_handled_once(person):
    operator = person.operator
    person.cable.cut()
    person.change("lamp", note="three")
    person.create("bell", note="cut off")
    time.sleep(0.5)  # the operator tries in vain meanwhile
    person.cable.mend()
    since = person.sent()
    stage.wait_until("the change to be handled", lambda: len(operator.called("update", "lamp")) == 2)
    stage.wait_until("the creation to be handled", lambda: operator.called("create", "bell"))
    person.settled("lamp", since, patches=2 * PATCHES)
    differences = operator.called("update", "lamp")[1:]
    stage.same(differences, [[("change", ("spec", "note"), "two", "three")]], "what changed meanwhile")
    stage.same(operator.called("create", "bell"), ["cut off"], "calls for what was made meanwhile")


def a_deletion_waits_for_its_handler(person):
    operator = person.operator
    person.delete("lamp")
    stage.wait_until("the deletion to be handled", lambda: operator.called("delete", "lamp"))
    held = person.get("lamp")
    assert held["metadata"]["deletionTimestamp"], held
    stage.same(held["metadata"]["finalizers"], [FINALIZER], "the finalizers meanwhile")
    operator.may_delete.set()
    stage.wait_until("the object to go", lambda: person.is_gone("lamp"))
    stage.same(operator.called("delete", "lamp"), [None], "calls for the deletion")


def a_new_operator_resumes_without_repeating(person):
    person.operator.stop()
    person.change("bell", note="while nobody looked")
    operator = person.operator = Operator(person.namespace, person.cable, initial_streaming=True)
    for name in ("bell", "vase"):
        stage.wait_until(f"{name} to be resumed", lambda: operator.called("resume", name))
    stage.wait_until("the change to be handled", lambda: operator.called("update", "bell"))
    person.settled("bell", 0, patches=2 * PATCHES)
    expected = [
        ("resume", "bell", None),
        ("resume", "vase", None),
        ("update", "bell", [("change", ("spec", "note"), "cut off", "while nobody looked")]),
    ]
    stage.same(sorted(operator.calls, key=lambda call: call[:2]), expected, "the calls of the second operator")


def the_objects_go_with_their_namespace(person):
    person.operator.may_delete.set()
    person.core.delete_namespace(person.namespace)
    stage.wait_until("the objects to go", lambda: person.is_gone("bell") and person.is_gone("vase"))
    deleted = [call for call in person.operator.calls if call[0] == "delete"]
    stage.same(sorted(deleted), [("delete", "bell", None), ("delete", "vase", None)], "calls for the deletions")
    person.operator.stop()


STEPS = [
    an_operator_starts,
    a_new_object_is_handled_once,
    an_event_of_the_operator_arrives,
    a_change_is_handled_once_with_its_difference,
    a_change_that_is_none_wakes_nobody,
    a_handler_that_stumbles_is_called_again,
    changes_made_while_the_cable_is_cut_are_handled_once,
    a_deletion_waits_for_its_handler,
    a_new_operator_resumes_without_repeating,
    the_objects_go_with_their_namespace,
]

if __name__ == "__main__":
    stage.run(STEPS, Person)
