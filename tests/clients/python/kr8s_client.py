"""What kr8s does against this API: its own classes for custom kinds, patches, waits, watches, ownership, tables.

kr8s offers no apply and no deletion of collections; both go through its own `call_api`. A version that is too old is not tried: kr8s
asks for it again without end. The client is used as published; each step is named after what it proves.
`KUBECONFIG=FILE kr8s_client.py NAMESPACE`
"""

import asyncio
import contextlib
import json
import os
import tempfile
from pathlib import Path

import httpx
import kr8s
import stage
import yaml
from kr8s.asyncio.objects import ConfigMap, CustomResourceDefinition, Event, Namespace, Secret, Table, new_class

Gadget = new_class(stage.KIND, stage.API_VERSION, asyncio=True, namespaced=True, scalable=True, plural=stage.PLURAL)
Lease = new_class("Lease", "coordination.k8s.io/v1", asyncio=True, namespaced=True, plural="leases")
APPLY = "application/apply-patch+yaml"


class Kr8s:
    """The client, in this script's namespace; every step runs in the one event loop that the client lives in."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.loop = asyncio.new_event_loop()
        making = kr8s.asyncio.api(kubeconfig=os.environ["KUBECONFIG"], namespace=namespace)
        self.api = self.loop.run_until_complete(making)

    async def make(self, kind, name, namespace=True, **fields):
        """Creates an object and gives it."""
        meta = {"name": name, **fields.pop("metadata", {})}
        if namespace:
            meta["namespace"] = self.namespace
        made = await kind({"metadata": meta, **fields}, api=self.api)
        await made.create()
        return made

    async def get(self, kind, name):
        return await kind.get(name, namespace=self.namespace, api=self.api)

    async def list(self, kind, **options):
        """All objects of a kind."""
        return [one async for one in self.api.get(kind, namespace=self.namespace, **options)]

    async def call(self, method, url, kind=Gadget, **options):
        """A call that kr8s has no method for."""
        options |= dict(version=kind.version, namespace=self.namespace)
        async with self.api.call_api(method, url=url, **options) as answer:
            return answer.json()


def step(function):
    """Makes an asynchronous step one that `stage.run` can call, within a bound."""

    def run(subject):
        subject.loop.run_until_complete(asyncio.wait_for(function(subject), 3 * stage.WAIT_SECONDS))

    run.__name__ = function.__name__
    return run


async def refused(code, awaitable):
    """The call is refused with this code; gives the Status."""
    try:
        await awaitable
    except kr8s.ServerError as error:
        stage.same(error.response.status_code, code, f"the refusal {error}")
        return error.status
    raise AssertionError(f"nothing was refused, expected {code}")


async def wait_until(what, look):
    """Looks again and again until something is found."""
    async with asyncio.timeout(stage.WAIT_SECONDS):
        while not await look():
            await asyncio.sleep(0.05)


@step
async def the_server_says_what_it_serves(kr8s_):
    version = await kr8s_.api.version()
    assert version["gitVersion"].startswith("v1."), version
    versions = [one async for one in kr8s_.api.api_versions()]
    assert {"v1", "events.k8s.io/v1"} <= set(versions), versions


@step
async def a_definition_is_made_and_established(kr8s_):
    definition = await CustomResourceDefinition(yaml.safe_load(stage.DEFINITION.read_text()), api=kr8s_.api)
    with contextlib.suppress(kr8s.ServerError):  # it may be there from another script
        await definition.create()
    await definition.wait("condition=Established", timeout=stage.WAIT_SECONDS)
    found = await kr8s_.api.lookup_kind("gd")
    stage.same(found, (f"gadget.{stage.API_VERSION}", stage.PLURAL, True), "the kind of the short name")


@step
async def a_namespace_is_made(kr8s_):
    made = await kr8s_.make(Namespace, kr8s_.namespace, namespace=False)
    stage.same(made.status.phase, "Active", "the phase")


@step
async def an_object_is_made_with_its_defaults_and_read_back(kr8s_):
    made = await kr8s_.make(Gadget, "base", spec={"note": "kept", "ports": [{"name": "web", "port": 80}]})
    expected = {
        "note": "kept", "size": "small", "replicas": 1, "limit": 10,
        "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
    }
    stage.same(made.spec.to_dict(), expected, "the spec")
    stage.same((await kr8s_.get(Gadget, "base")).to_dict(), made.to_dict(), "what was read back")


@step
async def what_exists_or_is_wrong_or_absent_is_refused(kr8s_):
    status = await refused(409, kr8s_.make(Gadget, "base", spec={}))
    stage.same(status["reason"], "AlreadyExists", "the reason")
    for spec in ({"size": "huge"}, {"replicas": 11}, {"ports": [{"name": "a", "port": 1}] * 2}):
        await refused(422, kr8s_.make(Gadget, "wrong", spec=spec))
    absent = await Gadget({"metadata": {"name": "absent", "namespace": kr8s_.namespace}}, api=kr8s_.api)
    assert not await absent.exists(), "what is absent exists"
    for call in (absent.refresh(), absent.delete(), absent.patch({"spec": {}}), kr8s_.get(Gadget, "absent")):
        try:
            await call
            raise AssertionError("what is absent was found")
        except kr8s.NotFoundError:
            pass


@step
async def a_long_list_comes_in_pages(kr8s_):
    names = [f"page-{number:03}" for number in range(120)]  # kr8s asks for a hundred at a time
    pages = [{"metadata": {"name": name, "namespace": kr8s_.namespace, "labels": {"of": "pages"}}} for name in names]
    await kr8s_.api.create([await ConfigMap(page, api=kr8s_.api) for page in pages])
    found = await kr8s_.list("configmaps", label_selector={"of": "pages"})
    stage.same([one.name for one in found], names, "the names over all pages")
    await kr8s_.call("DELETE", "configmaps", ConfigMap, params={"labelSelector": "of=pages"})
    stage.same(await kr8s_.list("configmaps"), [], "the ConfigMaps after the deletion of the collection")


@step
async def typed_kinds_are_made_and_read_back(kr8s_):
    await kr8s_.make(ConfigMap, "settings", data={"a": "1", "b": "2"})
    stage.same((await kr8s_.get(ConfigMap, "settings")).data.to_dict(), {"a": "1", "b": "2"}, "the ConfigMap")
    hidden = await kr8s_.make(Secret, "hidden", stringData={"word": "sesame"})
    stage.same(hidden.data.to_dict(), {"word": "c2VzYW1l"}, "the Secret")
    spec = {"holderIdentity": "one", "renewTime": "2026-01-01T00:00:00.000000Z"}
    lease = await kr8s_.make(Lease, "leader", spec=spec)
    await lease.patch({"spec": {"holderIdentity": "other"}})
    stage.same(lease.spec.holderIdentity, "other", "the holder")
    uid = (await kr8s_.get(Gadget, "base")).metadata.uid
    about = {"apiVersion": stage.API_VERSION, "kind": stage.KIND, "name": "base", "uid": uid}
    about["namespace"] = kr8s_.namespace
    await kr8s_.make(Event, "base.1", involvedObject=about, reason="Polished", message="it shines", type="Normal")
    selector = {"involvedObject.name": "base"}
    events = await kr8s_.list("events", field_selector=selector)
    stage.same([one.raw.message for one in events], ["it shines"], "the Events")


@step
async def a_table_shows_the_printer_columns(kr8s_):
    (table,) = await kr8s_.list("gadgets", as_object=Table)
    stage.same([column["name"] for column in table.column_definitions], ["Name", "Size", "Replicas"], "the columns")
    stage.same([row["cells"] for row in table.rows], [["base", "small", 1]], "the cells")


@step
async def every_patch_does_what_its_type_says(kr8s_):
    gadget = await kr8s_.get(Gadget, "base")
    await gadget.patch({"spec": {"note": None, "size": "large"}})
    stage.same((gadget.spec.get("note"), gadget.spec.size), (None, "large"), "the merge patch")
    add = {"op": "add", "path": "/spec/ports/-", "value": {"name": "metrics", "port": 9090}}
    await gadget.patch([add], type="json")
    stage.same([port.name for port in gadget.spec.ports], ["web", "metrics"], "the JSON patch")
    await refused(422, gadget.patch([{"op": "test", "path": "/spec/size", "value": "small"}], type="json"))
    await gadget.label(team="dune", **{"kept": "yes"})
    await gadget.annotate({"by": "kr8s"})
    await gadget.label("team-")
    stage.same((gadget.labels.to_dict(), gadget.annotations.to_dict()), ({"kept": "yes"}, {"by": "kr8s"}), "the marks")


@step
async def an_apply_owns_its_fields_and_meets_a_conflict(kr8s_):
    def apply(manager, force="false", **spec):
        body = json.dumps(stage.gadget("shared", kr8s_.namespace, **spec))
        params, headers = {"fieldManager": manager, "force": force}, {"Content-Type": APPLY}
        return kr8s_.call("PATCH", "gadgets/shared", content=body, params=params, headers=headers)

    made = await apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    again = await apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    stage.same(again["metadata"], made["metadata"], "the metadata after the same again")
    status = await refused(409, apply("two", note="from two"))
    stage.same((status["reason"], status["details"]["causes"][0]["field"]), ("Conflict", ".spec.note"), "the conflict")
    forced = await apply("two", "true", note="from two", ports=[{"name": "metrics", "port": 9090}])
    stage.same(sorted(port["name"] for port in forced["spec"]["ports"]), ["metrics", "web"], "ports of both managers")
    left = await apply("one")
    stage.same([port["name"] for port in left["spec"]["ports"]], ["metrics"], "ports after one manager let go")


@step
async def the_status_and_the_scale_are_parts_of_their_own(kr8s_):
    gadget = await kr8s_.get(Gadget, "base")
    spec = gadget.spec.to_dict()
    await gadget.patch({"spec": {"note": "sneaked in"}, "status": {"replicas": 2}}, subresource="status")
    stage.same((gadget.status.replicas, gadget.spec.to_dict()), (2, spec), "status and spec")
    await gadget.scale(4)
    stage.same(gadget.replicas, 4, "the replicas")
    await gadget.patch({"spec": {"replicas": 5}}, subresource="scale")
    await gadget.refresh()
    stage.same(gadget.replicas, 5, "the replicas by the subresource")


@step
async def waits_end_when_what_they_wait_for_happens(kr8s_):
    gadget, writer = await kr8s_.get(Gadget, "base"), await kr8s_.get(Gadget, "base")
    waiting = asyncio.create_task(gadget.wait("condition=Ready", timeout=stage.WAIT_SECONDS))
    await asyncio.sleep(0.3)
    assert not waiting.done(), "the wait ended before its time"
    await writer.patch({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, subresource="status")
    await waiting
    await gadget.wait("jsonpath='{.spec.replicas}'=5", timeout=stage.WAIT_SECONDS)


@step
async def a_watch_resumes_where_its_cable_was_cut(kr8s_):
    cable, story = stage.Cable(), stage.Story()
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:
        Path(file.name).write_text(yaml.safe_dump(cable.config))
        far = await kr8s.asyncio.api(kubeconfig=file.name, namespace=kr8s_.namespace)
    start = (await kr8s_.call("GET", "gadgets"))["metadata"]["resourceVersion"]

    async def follow():
        while True:
            with contextlib.suppress(httpx.HTTPError):  # the cable
                since = str(story.versions[-1]) if story.versions else start
                async for event, one in far.watch("gadgets", namespace=kr8s_.namespace, since=since):
                    story.see(event, one.name, one.spec.get("note"), one.metadata.resourceVersion)
            await asyncio.sleep(0.05)

    following = asyncio.create_task(follow())
    made = {}

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, kr8s_.loop).result(stage.WAIT_SECONDS)

    def create(name, note):
        made[name] = run(kr8s_.make(Gadget, name, spec={"note": note}))

    def change(name, note):
        run(made[name].patch({"spec": {"note": note}}))

    def delete(name):
        run(made[name].delete())

    await asyncio.to_thread(story.tell, cable, create, change, delete)
    following.cancel()


@step
async def an_owner_takes_what_it_adopted(kr8s_):
    owner = await kr8s_.make(Gadget, "owner", spec={})
    child = await kr8s_.make(ConfigMap, "child", data={})
    await owner.adopt(child)
    stage.same(child.metadata.ownerReferences[0].uid, owner.metadata.uid, "the owner")
    await owner.delete(propagation_policy="Foreground")
    await owner.wait("delete", timeout=stage.WAIT_SECONDS)
    assert not await child.exists(), "the dependent outlived its owner"


@step
async def a_finalizer_holds_what_is_deleted(kr8s_):
    held = await kr8s_.make(Gadget, "held", spec={}, metadata={"finalizers": ["clients.example.test/hold"]})
    await held.delete()
    await held.refresh()
    assert held.metadata.deletionTimestamp, held.raw
    waiting = asyncio.create_task(held.wait("delete", timeout=stage.WAIT_SECONDS))
    await asyncio.sleep(0.3)
    assert not waiting.done(), "it went in spite of its finalizer"
    other = await kr8s_.get(Gadget, "held")
    await other.patch([{"op": "remove", "path": "/metadata/finalizers/0"}], type="json")
    await waiting
    assert not await held.exists(), "it is still there"


@step
async def a_namespace_goes_with_all_that_is_in_it(kr8s_):
    namespace = await Namespace.get(kr8s_.namespace, api=kr8s_.api)
    await namespace.delete()

    async def is_gone():
        return not await namespace.exists()

    await wait_until("the namespace to go", is_gone)
    stage.same((await kr8s_.call("GET", "gadgets"))["items"], [], "the objects of a namespace that is gone")


STEPS = [
    the_server_says_what_it_serves,
    a_definition_is_made_and_established,
    a_namespace_is_made,
    an_object_is_made_with_its_defaults_and_read_back,
    what_exists_or_is_wrong_or_absent_is_refused,
    a_long_list_comes_in_pages,
    typed_kinds_are_made_and_read_back,
    a_table_shows_the_printer_columns,
    every_patch_does_what_its_type_says,
    an_apply_owns_its_fields_and_meets_a_conflict,
    the_status_and_the_scale_are_parts_of_their_own,
    waits_end_when_what_they_wait_for_happens,
    a_watch_resumes_where_its_cable_was_cut,
    an_owner_takes_what_it_adopted,
    a_finalizer_holds_what_is_deleted,
    a_namespace_goes_with_all_that_is_in_it,
]

if __name__ == "__main__":
    stage.run(STEPS, Kr8s)
