"""What lightkube does against this API: typed and generic resources, its four patch types, apply, watches that resume, HTTP/2.

The client is used as published; each step is named after what it proves. `KUBECONFIG=FILE lightkube_client.py NAMESPACE`
"""

import asyncio
import threading

import stage
from lightkube import ApiError, AsyncClient, Client, KubeConfig, codecs, operators
from lightkube.generic_resource import get_generic_resource, load_in_cluster_generic_resources
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Event, Namespace, Secret
from lightkube.types import CascadeType, OnErrorAction, OnErrorResult, PatchType


class Lightkube:
    """The client, in this script's namespace, and the class of the Gadgets once it is known."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.client = Client(KubeConfig.from_env(), namespace=namespace, field_manager="lightkube")
        self.gadgets = None

    def create(self, name, labels=None, **spec):
        meta = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        return self.client.create(self.gadgets(metadata=meta, spec=spec))

    def get(self, name):
        return self.client.get(self.gadgets, name)

    def patch(self, name, body, kind=PatchType.MERGE, **options):
        return self.client.patch(self.gadgets, name, body, patch_type=kind, **options)

    def names(self, resource, **options):
        return [one.metadata.name for one in self.client.list(resource, **options)]

    def is_gone(self, resource, name):
        return refusal(lambda: self.client.get(resource, name)) == 404


def refusal(call):
    """The code with which a call is refused, or nothing."""
    try:
        call()
    except ApiError as error:
        return error.status.code
    return None


def a_definition_is_applied_and_established(lightkube):
    (definition,) = codecs.load_all_yaml(stage.DEFINITION.read_text(), create_resources_for_crds=True)
    lightkube.client.apply(definition)
    lightkube.client.wait(CustomResourceDefinition, definition.metadata.name, for_conditions=["Established"])
    load_in_cluster_generic_resources(lightkube.client)
    lightkube.gadgets = get_generic_resource(stage.API_VERSION, stage.KIND)


def a_namespace_is_made(lightkube):
    made = lightkube.client.create(Namespace(metadata=ObjectMeta(name=lightkube.namespace)))
    stage.same(made.status.phase, "Active", "the phase")


def an_object_is_made_with_its_defaults_and_read_back(lightkube):
    made = lightkube.create("base", note="kept", ports=[{"name": "web", "port": 80}])
    expected = {
        "note": "kept", "size": "small", "replicas": 1, "limit": 10,
        "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
    }
    stage.same(made.spec, expected, "the spec")
    stage.same(lightkube.get("base"), made, "what was read back")
    lightkube.client.create(lightkube.gadgets(metadata={"name": "dry"}, spec={}), dry_run=True)
    assert lightkube.is_gone(lightkube.gadgets, "dry"), "a dry run wrote"


def what_exists_or_is_wrong_or_absent_is_refused(lightkube):
    try:
        lightkube.create("base")
        raise AssertionError("it was made twice")
    except ApiError as error:
        stage.same((error.status.code, error.status.reason), (409, "AlreadyExists"), "the refusal")
    for spec in ({"size": "huge"}, {"replicas": 11}, {"ports": [{"name": "a", "port": 1}] * 2}):
        stage.same(refusal(lambda: lightkube.create("wrong", **spec)), 422, f"the refusal of {spec}")
    stage.same(refusal(lambda: lightkube.get("absent")), 404, "the refusal of what is absent")


def a_list_comes_in_pages_and_by_labels(lightkube):
    for number in range(5):
        lightkube.create(f"page-{number}", labels={"page": str(number)})
    paged = lightkube.client.list(lightkube.gadgets, chunk_size=2)
    names = [one.metadata.name for one in paged]
    stage.same(names, ["base", *(f"page-{number}" for number in range(5))], "the names over all pages")
    assert int(paged.resourceVersion) > 0, paged.resourceVersion
    chosen = lightkube.names(lightkube.gadgets, labels={"page": operators.in_(["1", "3"])})
    stage.same(chosen, ["page-1", "page-3"], "the names chosen by label")
    chosen = lightkube.names(lightkube.gadgets, fields={"metadata.name": "page-2"})
    stage.same(chosen, ["page-2"], "the name chosen by field")


def typed_kinds_are_made_and_replaced(lightkube):
    client = lightkube.client
    settings = client.create(ConfigMap(metadata=ObjectMeta(name="settings"), data={"a": "1", "b": "2"}))
    stage.same(client.get(ConfigMap, "settings").data, {"a": "1", "b": "2"}, "the ConfigMap")
    settings.data["a"] = "one"
    newer = client.replace(settings)
    stage.same(newer.data, {"a": "one", "b": "2"}, "the replaced ConfigMap")
    stage.same(refusal(lambda: client.replace(settings)), 409, "the refusal of a stale write")
    hidden = client.create(Secret(metadata=ObjectMeta(name="hidden"), stringData={"word": "sesame"}))
    stage.same((hidden.type, hidden.data, hidden.stringData), ("Opaque", {"word": "c2VzYW1l"}, None), "the Secret")
    spec = LeaseSpec(holderIdentity="one", leaseDurationSeconds=15)
    lease = client.create(Lease(metadata=ObjectMeta(name="leader"), spec=spec))
    lease.spec.holderIdentity = "other"
    stage.same(client.replace(lease).spec.holderIdentity, "other", "the holder")


def an_event_is_found_by_what_it_is_about(lightkube):
    uid = lightkube.get("base").metadata.uid
    reference = ObjectReference(
        apiVersion=stage.API_VERSION, kind=stage.KIND, name="base", namespace=lightkube.namespace, uid=uid
    )
    lightkube.client.create(
        Event(
            metadata=ObjectMeta(generateName="base-"), involvedObject=reference, reason="Polished",
            message="it shines", type="Normal", source=EventSource(component="polisher"),
        )
    )
    found = list(lightkube.client.list(Event, fields={"involvedObject.uid": uid}))
    stage.same([(one.message, one.source.component) for one in found], [("it shines", "polisher")], "the Events")


def every_patch_does_what_its_type_says(lightkube):
    client = lightkube.client
    patched = lightkube.patch("base", {"spec": {"note": None, "size": "large"}})
    stage.same((patched.spec.get("note"), patched.spec["size"]), (None, "large"), "the merge patch")
    operations = [{"op": "add", "path": "/spec/ports/-", "value": {"name": "metrics", "port": 9090}}]
    patched = lightkube.patch("base", operations, PatchType.JSON)
    stage.same([port["name"] for port in patched.spec["ports"]], ["web", "metrics"], "the JSON patch")
    failing = [{"op": "test", "path": "/spec/size", "value": "small"}]
    stage.same(refusal(lambda: lightkube.patch("base", failing, PatchType.JSON)), 422, "the refusal of a failed test")
    code = refusal(lambda: lightkube.patch("base", {"spec": {}}, PatchType.STRATEGIC))
    stage.same(code, 415, "the refusal of a strategic patch of a custom resource")
    settings = client.patch(ConfigMap, "settings", {"data": {"b": None, "c": "3"}})  # the client's default: strategic
    stage.same(settings.data, {"a": "one", "c": "3"}, "the strategic patch")
    marked = client.set(ConfigMap, "settings", labels={"marked": "yes"}, annotations={"by": "lightkube"})
    marks = (marked.metadata.labels, marked.metadata.annotations)
    stage.same(marks, ({"marked": "yes"}, {"by": "lightkube"}), "the marks")
    marked = client.set(ConfigMap, "settings", labels={"marked": None})
    stage.same(marked.metadata.labels or {}, {}, "the labels after removal")


def an_apply_owns_its_fields_and_meets_a_conflict(lightkube):
    def apply(manager, force=False, **spec):
        body = lightkube.gadgets.from_dict(stage.gadget("shared", lightkube.namespace, **spec))
        return lightkube.client.apply(body, field_manager=manager, force=force)

    made = apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    again = apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    stage.same(again.metadata.resourceVersion, made.metadata.resourceVersion, "the version after the same again")
    try:
        apply("two", note="from two")
        raise AssertionError("the conflict was not seen")
    except ApiError as error:
        (cause,) = error.status.details.causes
        stage.same((error.status.reason, cause.field), ("Conflict", ".spec.note"), "the conflict")
    forced = apply("two", force=True, note="from two", ports=[{"name": "metrics", "port": 9090}])
    stage.same(sorted(port["name"] for port in forced.spec["ports"]), ["metrics", "web"], "ports of both managers")
    left = apply("one")
    stage.same([port["name"] for port in left.spec["ports"]], ["metrics"], "ports after one manager let go")
    stage.same(left.spec["note"], "from two", "the note of the other manager")
    settings = ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="settings"), data={"d": "4"})
    stage.same(lightkube.client.apply(settings).data, {"a": "one", "c": "3", "d": "4"}, "an apply on a typed kind")


def the_status_and_the_scale_are_parts_of_their_own(lightkube):
    client, gadgets = lightkube.client, lightkube.gadgets
    before = lightkube.get("base")
    condition = {"type": "Ready", "status": "True"}
    body = {"spec": {"note": "sneaked in"}, "status": {"replicas": 2, "conditions": [condition]}}
    after = client.patch(gadgets.Status, "base", body, patch_type=PatchType.MERGE)
    stage.same((after.status["conditions"], after.spec), ([condition], before.spec), "status and spec")
    stage.same(after.metadata.generation, before.metadata.generation, "the generation")
    client.wait(gadgets, "base", for_conditions=["Ready"])
    wanted = {**stage.gadget("base", lightkube.namespace), "status": {"selector": "a=b"}}
    applied = client.apply(gadgets.Status.from_dict(wanted), "base")
    stage.same((applied.status["selector"], applied.status["replicas"]), ("a=b", 2), "the applied status")
    scale = client.get(gadgets.Scale, "base")
    stage.same((scale.spec.replicas, scale.status.replicas, scale.status.selector), (1, 2, "a=b"), "the scale")
    scale.spec.replicas = 5
    client.replace(scale, "base")
    scaled = client.patch(gadgets.Scale, "base", {"spec": {"replicas": 6}}, patch_type=PatchType.MERGE)
    stage.same((scaled.spec.replicas, lightkube.get("base").spec["replicas"]), (6, 6), "the replicas")


def a_watch_resumes_by_itself_where_its_cable_was_cut(lightkube):
    cable, story, client = stage.Cable(), stage.Story(), lightkube.client
    far = Client(KubeConfig.from_dict(cable.config), namespace=lightkube.namespace)
    listed = client.list(ConfigMap)
    list(listed)

    def once_mended(_error, _count):
        cable.wait_until_whole()
        return OnErrorResult(OnErrorAction.RETRY)

    def follow():
        labels = {"told": "yes"}
        stream = far.watch(ConfigMap, labels=labels, resource_version=listed.resourceVersion, on_error=once_mended)
        for event, one in stream:
            story.see(event, one.metadata.name, one.data["note"], one.metadata.resourceVersion)

    threading.Thread(target=follow, daemon=True).start()
    story.tell(
        cable,
        create=lambda name, note: client.create(
            ConfigMap(metadata=ObjectMeta(name=name, labels={"told": "yes"}), data={"note": note})
        ),
        change=lambda name, note: client.patch(ConfigMap, name, {"data": {"note": note}}),
        delete=lambda name: client.delete(ConfigMap, name),
    )


def a_watch_that_ends_at_its_time_goes_on(lightkube):
    client, gadgets = lightkube.client, lightkube.gadgets
    version = lightkube.get("shared").metadata.resourceVersion
    seen = []

    def follow():
        fields = {"metadata.name": "shared"}
        for event, one in client.watch(gadgets, fields=fields, server_timeout=1, resource_version=version):
            seen.append((event, one.spec["note"]))

    threading.Thread(target=follow, daemon=True).start()
    notes = [f"note {number}" for number in range(8)]
    for note in notes:
        lightkube.patch("shared", {"spec": {"note": note}})
        stage.wait_until("the event", lambda: seen and seen[-1][1] == note)
        threading.Event().wait(0.3)  # the changes reach over more than one watch
    stage.same(seen, [("MODIFIED", note) for note in notes], "the events")


def everything_goes_over_http_2_too(lightkube):
    # In one thread: the library below lightkube loses answers when threads share such a connection.
    client = Client(KubeConfig.from_env(), namespace=lightkube.namespace, field_manager="lightkube", http2=True)
    made = client.create(ConfigMap(metadata=ObjectMeta(name="over-http-2"), data={"a": "0"}))
    large = "x" * 1_000_000  # more than the first window of a connection
    for number in range(20):
        client.patch(ConfigMap, "over-http-2", {"data": {"a": str(number), "large": large}})
    stage.same(client.get(ConfigMap, "over-http-2").data["large"], large, "the large value")
    client.apply(ConfigMap(metadata=ObjectMeta(name="over-http-2"), data={"b": "1"}))
    client.delete(ConfigMap, "over-http-2")
    start = made.metadata.resourceVersion
    stream = client.watch(ConfigMap, fields={"metadata.name": "over-http-2"}, resource_version=start)
    events = [next(stream) for _ in range(22)]
    expected = [("MODIFIED", str(number)) for number in range(20)] + [("MODIFIED", "19"), ("DELETED", "19")]
    stage.same([(event, one.data["a"]) for event, one in events], expected, "the events")
    client.close()


def the_asynchronous_client_speaks_too(lightkube):
    async def speak():
        client = AsyncClient(KubeConfig.from_env(), namespace=lightkube.namespace)
        listed = client.list(ConfigMap)
        names = [one.metadata.name async for one in listed]
        assert "settings" in names, names
        await client.create(ConfigMap(metadata=ObjectMeta(name="async"), data={"a": "1"}))
        await client.patch(ConfigMap, "async", {"data": {"a": "2"}})
        await client.delete(ConfigMap, "async")
        seen = []
        async for event, one in client.watch(ConfigMap, resource_version=listed.resourceVersion):
            seen.append((event, one.data["a"]))
            if event == "DELETED":
                return seen

    events = asyncio.run(asyncio.wait_for(speak(), stage.WAIT_SECONDS))
    stage.same(events, [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], "the events")


def a_finalizer_holds_what_is_deleted(lightkube):
    client, gadgets = lightkube.client, lightkube.gadgets
    client.create(gadgets(metadata=ObjectMeta(name="held", finalizers=["clients.example.test/hold"]), spec={}))
    client.delete(gadgets, "held")
    held = lightkube.get("held").metadata
    assert held.deletionTimestamp, held
    stage.same(held.finalizers, ["clients.example.test/hold"], "the finalizers")
    more = {"metadata": {"finalizers": ["clients.example.test/hold", "clients.example.test/more"]}}
    stage.same(refusal(lambda: lightkube.patch("held", more)), 422, "the refusal of another finalizer")
    lightkube.patch("held", {"metadata": {"finalizers": None}})
    stage.wait_until("the object to go", lambda: lightkube.is_gone(gadgets, "held"))


def a_deletion_takes_dependents_or_leaves_them(lightkube):
    client, gadgets = lightkube.client, lightkube.gadgets
    for cascade in (CascadeType.FOREGROUND, CascadeType.BACKGROUND, CascadeType.ORPHAN):
        uid = lightkube.create("owner").metadata.uid
        owner = OwnerReference(apiVersion=stage.API_VERSION, kind=stage.KIND, name="owner", uid=uid)
        owner.blockOwnerDeletion = True
        client.create(ConfigMap(metadata=ObjectMeta(name="dependent", ownerReferences=[owner])))
        client.delete(gadgets, "owner", cascade=cascade)
        stage.wait_until("the owner to go", lambda: lightkube.is_gone(gadgets, "owner"))
        if cascade is CascadeType.ORPHAN:
            orphan = client.get(ConfigMap, "dependent").metadata
            stage.same(orphan.ownerReferences or [], [], "the owners of the orphan")
        else:
            stage.wait_until("the dependent to go", lambda: lightkube.is_gone(ConfigMap, "dependent"))


def a_collection_is_deleted(lightkube):
    client, gadgets = lightkube.client, lightkube.gadgets
    client.deletecollection(gadgets)
    stage.same(lightkube.names(gadgets), [], "the Gadgets")


def an_outgrown_version_is_gone(lightkube):
    client = lightkube.client
    client.create(ConfigMap(metadata=ObjectMeta(name="large")))

    def write(text):
        client.patch(ConfigMap, "large", {"data": {"text": text}})

    def is_gone():
        code = refusal(lambda: next(iter(client.watch(Namespace, resource_version="1"))))
        assert code in (None, 410), code
        return code == 410

    stage.outgrow(write, is_gone)


def a_namespace_goes_with_all_that_is_in_it(lightkube):
    lightkube.client.delete(Namespace, lightkube.namespace)
    stage.wait_until("the namespace to go", lambda: lightkube.is_gone(Namespace, lightkube.namespace))
    stage.same(lightkube.names(ConfigMap), [], "the objects of a namespace that is gone")


STEPS = [
    a_definition_is_applied_and_established,
    a_namespace_is_made,
    an_object_is_made_with_its_defaults_and_read_back,
    what_exists_or_is_wrong_or_absent_is_refused,
    a_list_comes_in_pages_and_by_labels,
    typed_kinds_are_made_and_replaced,
    an_event_is_found_by_what_it_is_about,
    every_patch_does_what_its_type_says,
    an_apply_owns_its_fields_and_meets_a_conflict,
    the_status_and_the_scale_are_parts_of_their_own,
    a_watch_resumes_by_itself_where_its_cable_was_cut,
    a_watch_that_ends_at_its_time_goes_on,
    everything_goes_over_http_2_too,
    the_asynchronous_client_speaks_too,
    a_finalizer_holds_what_is_deleted,
    a_deletion_takes_dependents_or_leaves_them,
    a_collection_is_deleted,
    an_outgrown_version_is_gone,
    a_namespace_goes_with_all_that_is_in_it,
]

if __name__ == "__main__":
    stage.run(STEPS, Lightkube)
