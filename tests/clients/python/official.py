"""What the official Python client does against this API: typed kinds, custom objects, the dynamic client, watches, informers, leases.

The client is used as published; each step is named after what it proves. `KUBECONFIG=FILE official.py NAMESPACE`
"""

import asyncio
import datetime
import logging
import threading

import stage
import urllib3
from kubernetes import aio, client, config, informer, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic import exceptions as dynamic_errors
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Official:
    """The halves of the client that the steps use, and short forms for the calls that name a Gadget."""

    def __init__(self, namespace):
        config.load_kube_config()
        self.namespace = namespace
        self.api = client.ApiClient()
        self.core = client.CoreV1Api(self.api)
        self.extensions = client.ApiextensionsV1Api(self.api)
        self.leases = client.CoordinationV1Api(self.api)
        self.events = client.EventsV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.place = dict(
            group=stage.GROUP, version=stage.VERSION, namespace=namespace, plural=stage.PLURAL
        )

    def create(self, name, **spec):
        return self.custom.create_namespaced_custom_object(
            body=stage.gadget(name, self.namespace, **spec), **self.place
        )

    def get(self, name):
        return self.custom.get_namespaced_custom_object(name=name, **self.place)

    def patch(self, name, body, **options):
        return self.custom.patch_namespaced_custom_object(name=name, body=body, **self.place, **options)

    def delete(self, name, **options):
        return self.custom.delete_namespaced_custom_object(name=name, **self.place, **options)

    def list(self, **options):
        return self.custom.list_namespaced_custom_object(**self.place, **options)

    def is_gone(self, name):
        try:
            self.get(name)
        except client.exceptions.NotFoundException:
            return True
        return False


def the_server_says_who_it_is(official):
    version = client.VersionApi(official.api).get_code()
    assert version.git_version.startswith("v1."), version
    groups = client.ApisApi(official.api).get_api_versions().groups
    assert {"coordination.k8s.io", "events.k8s.io"} <= {group.name for group in groups}, groups


def a_definition_is_applied_and_established(official):
    for _ in range(2):
        utils.create_from_yaml(official.api, str(stage.DEFINITION), apply=True)
    name = f"{stage.PLURAL}.{stage.GROUP}"

    def established():
        conditions = official.extensions.read_custom_resource_definition(name).status.conditions or []
        return any(one.type == "Established" and one.status == "True" for one in conditions)

    stage.wait_until("the definition", established)


def a_namespace_is_made(official):
    body = client.V1Namespace(metadata=client.V1ObjectMeta(name=official.namespace))
    made = official.core.create_namespace(body)
    stage.same((made.metadata.name, made.status.phase), (official.namespace, "Active"), "the namespace")


def an_object_is_made_with_its_defaults_and_read_back(official):
    ports = [{"name": "web", "port": 80}]
    made = official.create("base", note="kept", ports=ports)
    expected = {
        "note": "kept", "size": "small", "replicas": 1, "limit": 10,
        "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
    }
    stage.same(made["spec"], expected, "the spec")
    stage.same(made["metadata"]["generation"], 1, "the generation")
    stage.same(official.get("base"), made, "what was read back")


def what_exists_is_not_made_again(official):
    try:
        official.create("base")
        raise AssertionError("it was made twice")
    except client.exceptions.ConflictException as error:
        assert '"reason":"AlreadyExists"' in error.body.replace(" ", ""), error.body
    with stage.refused(client.exceptions.NotFoundException, status=404):
        official.get("absent")


def what_the_schema_forbids_is_refused(official):
    for spec in ({"size": "huge"}, {"replicas": 11}, {"replicas": -1}, {"ports": [{"name": "a", "port": 1}] * 2}):
        with stage.refused(client.exceptions.UnprocessableEntityException, status=422):
            official.create("wrong", **spec)
    with stage.refused(client.exceptions.BadRequestException, status=400):
        body = stage.gadget("wrong", official.namespace, colour="red")
        official.custom.create_namespaced_custom_object(body=body, field_validation="Strict", **official.place)
    official.custom.create_namespaced_custom_object(
        body=stage.gadget("dry", official.namespace), dry_run="All", **official.place
    )
    assert official.is_gone("dry"), "a dry run wrote"


def a_list_comes_in_pages(official):
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        official.create(name, note="paged")
    found, token = [], None
    while token != "":
        page = official.list(limit=2, **({"_continue": token} if token else {}))
        assert len(page["items"]) <= 2, page
        found += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
    stage.same(found, ["base", *names], "the names over all pages")
    one = official.list(field_selector="metadata.name=page-3")
    stage.same([item["metadata"]["name"] for item in one["items"]], ["page-3"], "the selected name")


def a_stale_write_is_refused_and_retried(official):
    old = official.get("base")
    official.patch("base", {"spec": {"note": "newer"}})
    with stage.refused(client.exceptions.ConflictException, status=409):
        official.custom.replace_namespaced_custom_object(name="base", body=old, **official.place)

    def write():
        fresh = official.get("base")
        fresh["spec"]["note"] = "newest"
        return official.custom.replace_namespaced_custom_object(name="base", body=fresh, **official.place)

    stage.same(utils.retry.retry_on_conflict(write)["spec"]["note"], "newest", "the note")


def typed_kinds_are_made_and_read_back(official):
    core, namespace = official.core, official.namespace

    def meta(name):
        return client.V1ObjectMeta(name=name)

    body = client.V1ConfigMap(metadata=meta("settings"), data={"a": "1", "b": "2"}, binary_data={"c": "AAEC"})
    settings = core.create_namespaced_config_map(namespace, body)
    stage.same(core.read_namespaced_config_map("settings", namespace), settings, "the ConfigMap")
    hidden = core.create_namespaced_secret(
        namespace, client.V1Secret(metadata=meta("hidden"), string_data={"word": "sesame"})
    )
    stage.same((hidden.type, hidden.data, hidden.string_data), ("Opaque", {"word": "c2VzYW1l"}, None), "the Secret")
    core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=meta("robot")))
    with stage.refused(client.exceptions.ConflictException, status=409):
        core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=meta("settings")))
    names = [one.metadata.name for one in core.list_namespaced_config_map(namespace).items]
    stage.same(names, ["settings"], "the ConfigMaps")


def a_typed_object_is_replaced_as_it_was_read(official):
    # The client writes the times that it read in another form: `+00:00` instead of `Z`.
    settings = official.core.read_namespaced_config_map("settings", official.namespace)
    settings.data["a"] = "first"
    newer = official.core.replace_namespaced_config_map("settings", official.namespace, settings)
    stage.same(newer.data["a"], "first", "the value")
    stage.same(newer.metadata.creation_timestamp, settings.metadata.creation_timestamp, "the time of creation")
    again = official.core.replace_namespaced_config_map("settings", official.namespace, newer)
    stage.same(again.metadata.resource_version, newer.metadata.resource_version, "the version after the same again")
    with stage.refused(client.exceptions.ConflictException, status=409):
        official.core.replace_namespaced_config_map("settings", official.namespace, settings)


def an_event_is_read_in_both_groups(official):
    about = official.get("base")["metadata"]
    reference = client.V1ObjectReference(
        api_version=stage.API_VERSION, kind=stage.KIND, name="base", namespace=official.namespace, uid=about["uid"]
    )
    event = client.CoreV1Event(
        metadata=client.V1ObjectMeta(generate_name="base-"), involved_object=reference,
        action="Polish", reason="Polished", message="it shines", type="Normal",
        event_time=datetime.datetime.now(datetime.timezone.utc),  # the client cannot read the newer form without it
        reporting_component="clients.example.test/polisher", reporting_instance="polisher-0",
    )
    made = official.core.create_namespaced_event(official.namespace, event)
    assert made.metadata.name.startswith("base-"), made.metadata.name
    selector = f"involvedObject.uid={about['uid']}"
    found = official.core.list_namespaced_event(official.namespace, field_selector=selector).items
    stage.same([one.message for one in found], ["it shines"], "the core form")
    found = official.events.list_namespaced_event(official.namespace).items
    stage.same([(one.regarding.name, one.note) for one in found], [("base", "it shines")], "the newer form")


def one_candidate_leads_and_the_other_waits(official):
    def candidate(identity):
        lock = LeaseLock("leader", official.namespace, identity)
        settings = electionconfig.Config(
            lock, lease_duration=15, renew_deadline=10, retry_period=2,
            onstarted_leading=lambda: None, onstopped_leading=None,
        )
        return leaderelection.LeaderElection(settings)

    one, other = candidate("one"), candidate("other")
    turns = [one.try_acquire_or_renew(), other.try_acquire_or_renew(), one.try_acquire_or_renew()]
    stage.same(turns, [True, False, True], "who got the lease")
    lease = official.leases.read_namespaced_lease("leader", official.namespace)
    stage.same(lease.spec.holder_identity, "one", "the holder")


def every_patch_does_what_its_type_says(official):
    patched = official.patch("base", {"spec": {"note": None, "size": "large"}})  # the client's default: merge
    stage.same((patched["spec"].get("note"), patched["spec"]["size"]), (None, "large"), "the merge patch")
    operations = [
        {"op": "test", "path": "/spec/size", "value": "large"},
        {"op": "add", "path": "/spec/ports/-", "value": {"name": "metrics", "port": 9090}},
    ]
    patched = official.patch("base", operations, _content_type=JSON)
    stage.same([port["name"] for port in patched["spec"]["ports"]], ["web", "metrics"], "the JSON patch")
    operations[0]["value"] = "small"
    with stage.refused(client.exceptions.UnprocessableEntityException, status=422):
        official.patch("base", operations, _content_type=JSON)
    with stage.refused(ApiException, status=415):
        official.patch("base", {"spec": {}}, _content_type=STRATEGIC)
    before = official.get("base")["metadata"]["resourceVersion"]
    patched = official.patch("base", {"spec": {"size": "large"}}, _content_type=MERGE)
    stage.same(patched["metadata"]["resourceVersion"], before, "the version after a patch that changes nothing")


def every_patch_works_on_typed_kinds(official):
    def patch(body, **options):
        return official.core.patch_namespaced_config_map("settings", official.namespace, body, **options).data

    stage.same(patch({"data": {"b": None, "d": "4"}}), {"a": "first", "d": "4"}, "the default for a map: strategic")
    operations = [{"op": "replace", "path": "/data/a", "value": "one"}]
    stage.same(patch(operations), {"a": "one", "d": "4"}, "the default for a list: JSON")
    stage.same(patch({"data": {"d": None}}, _content_type=MERGE), {"a": "one"}, "the merge patch")
    body = client.V1ConfigMap(data={"e": "5"})
    stage.same(patch(body, _content_type=STRATEGIC), {"a": "one", "e": "5"}, "the strategic patch of a model")
    owner = official.get("base")["metadata"]
    reference = {"apiVersion": stage.API_VERSION, "kind": stage.KIND, "name": "base", "uid": owner["uid"]}
    for controller in (False, True):
        body = {"metadata": {"ownerReferences": [{**reference, "controller": controller}]}}
        patched = official.core.patch_namespaced_config_map("settings", official.namespace, body)
    references = [(one.uid, one.controller) for one in patched.metadata.owner_references]
    stage.same(references, [(owner["uid"], True)], "owners, merged by their uid")
    official.core.patch_namespaced_config_map("settings", official.namespace, {"metadata": {"ownerReferences": None}})


def an_apply_owns_its_fields_and_meets_a_conflict(official):
    def apply(manager, force=None, **spec):
        body = stage.gadget("shared", official.namespace, **spec)
        official.patch("shared", body, field_manager=manager, force=force, _content_type=APPLY)
        return official.get("shared")  # the client drops the answer of an apply that made the object, a 201

    made = apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    stage.same(made["spec"]["note"], "from one", "the applied note")
    again = apply("one", note="from one", ports=[{"name": "web", "port": 80}])
    stage.same(again["metadata"], made["metadata"], "the metadata after the same again")
    try:
        apply("two", note="from two")
        raise AssertionError("the conflict was not seen")
    except client.exceptions.ConflictException as error:
        assert 'conflict with \\"one\\"' in error.body and ".spec.note" in error.body, error.body
    forced = apply("two", force=True, note="from two", ports=[{"name": "metrics", "port": 9090}])
    stage.same(forced["spec"]["note"], "from two", "the forced note")
    stage.same(sorted(port["name"] for port in forced["spec"]["ports"]), ["metrics", "web"], "ports of both managers")
    left = apply("one")
    stage.same([port["name"] for port in left["spec"]["ports"]], ["metrics"], "ports after one manager let go")
    stage.same(left["spec"]["note"], "from two", "the note of the other manager")


def the_dynamic_client_finds_and_applies(official):
    dynamic = DynamicClient(official.api)
    gadgets = dynamic.resources.get(api_version=stage.API_VERSION, kind=stage.KIND)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    namespace = official.namespace
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}, "data": {"a": "1"}}
    maps.server_side_apply(body, namespace=namespace, field_manager="one")
    body["data"]["a"] = "2"
    with stage.refused(dynamic_errors.ConflictError, status=409):
        maps.server_side_apply(body, namespace=namespace, field_manager="two")
    taken = maps.server_side_apply(body, namespace=namespace, field_manager="two", force_conflicts=True)
    stage.same(taken.data.a, "2", "the forced value")
    patched = maps.patch({"metadata": {"name": "dynamic"}, "data": {"b": "3"}}, namespace=namespace)
    stage.same(patched.data.to_dict(), {"a": "2", "b": "3"}, "the default patch: strategic")
    with stage.refused(dynamic_errors.DynamicApiError, status=415):
        gadgets.patch({"metadata": {"name": "base"}, "spec": {}}, namespace=namespace)
    with stage.refused(dynamic_errors.NotFoundError, status=404):
        gadgets.get(name="absent", namespace=namespace)
    scale = gadgets.scale.get(name="base", namespace=namespace)
    stage.same((scale.kind, scale.spec.replicas), ("Scale", 1), "the scale")
    gadgets.status.patch(
        {"metadata": {"name": "base"}, "status": {"replicas": 3}}, namespace=namespace, content_type=MERGE
    )
    stage.same(gadgets.get(name="base", namespace=namespace).status.replicas, 3, "the status")
    maps.delete(name="dynamic", namespace=namespace)


def the_status_is_a_part_of_its_own(official):
    before = official.get("base")
    condition = {"type": "Ready", "status": "True", "reason": "Polished"}
    status = {"replicas": 2, "selector": "app=gadget", "conditions": [condition]}
    body = {"spec": {"note": "sneaked in"}, "status": status}
    after = official.custom.patch_namespaced_custom_object_status(name="base", body=body, **official.place)
    stage.same(after["status"]["conditions"], [condition], "the conditions")
    stage.same(after["spec"], before["spec"], "the spec after a write of the status")
    stage.same(after["metadata"]["generation"], before["metadata"]["generation"], "the generation")
    after["status"]["replicas"] = 4
    official.custom.replace_namespaced_custom_object_status(name="base", body=after, **official.place)
    ignored = official.patch("base", {"status": {"replicas": 9}, "spec": {"note": "main"}})
    found = (ignored["status"]["replicas"], ignored["spec"]["note"])
    stage.same(found, (4, "main"), "the status after a write of the rest")
    stage.same(ignored["metadata"]["generation"], before["metadata"]["generation"] + 1, "the generation")


def the_scale_is_read_patched_and_replaced(official):
    scale = official.custom.get_namespaced_custom_object_scale(name="base", **official.place)
    stage.same((scale["kind"], scale["apiVersion"]), ("Scale", "autoscaling/v1"), "what a scale is")
    stage.same((scale["status"]["replicas"], scale["status"]["selector"]), (4, "app=gadget"), "the scale's status")
    official.custom.patch_namespaced_custom_object_scale(name="base", body={"spec": {"replicas": 5}}, **official.place)
    stage.same(official.get("base")["spec"]["replicas"], 5, "the patched replicas")
    scale = official.custom.get_namespaced_custom_object_scale(name="base", **official.place)
    scale["spec"]["replicas"] = 6
    official.custom.replace_namespaced_custom_object_scale(name="base", body=scale, **official.place)
    stage.same(official.get("base")["spec"]["replicas"], 6, "the replaced replicas")


def a_watch_resumes_where_its_cable_was_cut(official):
    cable, story, watcher = stage.Cable(), stage.Story(), watch.Watch()
    far = client.CustomObjectsApi(config.new_client_from_config_dict(cable.config))
    start = official.list()["metadata"]["resourceVersion"]

    def follow():
        version = start
        while True:
            stream = watcher.stream(far.list_namespaced_custom_object, resource_version=version, **official.place)
            try:
                for event in stream:
                    meta = event["object"]["metadata"]
                    story.see(event["type"], meta["name"], event["object"]["spec"].get("note"), meta["resourceVersion"])
            except (urllib3.exceptions.HTTPError, OSError):
                pass  # the cable
            version = watcher.resource_version

    threading.Thread(target=follow, daemon=True).start()
    story.tell(
        cable,
        create=lambda name, note: official.create(name, note=note),
        change=lambda name, note: official.patch(name, {"spec": {"note": note}}),
        delete=official.delete,
    )


def an_informer_resumes_where_its_cable_was_cut(official):
    logging.getLogger("kubernetes.informer").setLevel(logging.CRITICAL)  # it tells of every try while the cable is cut
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    cable, story, core = stage.Cable(), stage.Story(), official.core
    far = client.CoreV1Api(config.new_client_from_config_dict(cable.config))
    shared = informer.SharedInformer(far.list_namespaced_config_map, official.namespace, label_selector="told=yes")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        shared.add_event_handler(
            kind,
            lambda one, kind=kind: story.see(kind, one.metadata.name, one.data["note"], one.metadata.resource_version),
        )
    shared.start()

    def create(name, note):
        meta = client.V1ObjectMeta(name=name, labels={"told": "yes"})
        core.create_namespaced_config_map(official.namespace, client.V1ConfigMap(metadata=meta, data={"note": note}))

    story.tell(
        cable,
        create=create,
        change=lambda name, note: core.patch_namespaced_config_map(name, official.namespace, {"data": {"note": note}}),
        delete=lambda name: core.delete_namespaced_config_map(name, official.namespace),
    )
    stage.same([one.metadata.name for one in shared.cache.list()], ["second"], "the informer's cache")
    core.delete_namespaced_config_map("second", official.namespace)


def a_watch_ends_at_its_time_and_begins_with_what_is_there(official):
    def seen(**options):
        stream = watch.Watch().stream(official.list, timeout_seconds=1, **options)
        return [(event["type"], event["object"]["metadata"]["name"]) for event in stream]

    there = [("ADDED", item["metadata"]["name"]) for item in official.list()["items"]]
    stage.same(sorted(seen(resource_version="0")), sorted(there), "the initial events")
    dynamic = DynamicClient(official.api).resources.get(api_version=stage.API_VERSION, kind=stage.KIND)
    streamed = dynamic.watch(
        namespace=official.namespace, timeout=1, send_initial_events=True,
        resource_version_match="NotOlderThan", allow_watch_bookmarks=True,
    )
    kinds = [event["type"] for event in streamed]
    stage.same(kinds[: len(there) + 1], ["ADDED"] * len(there) + ["BOOKMARK"], "a list by watch, and its end")


def the_asynchronous_half_speaks_too(official):
    async def speak():
        await aio.config.load_kube_config()
        async with aio.client.ApiClient() as api:
            core = aio.client.CoreV1Api(api)
            version = (await core.list_namespaced_config_map(official.namespace)).metadata.resource_version
            body = aio.client.V1ConfigMap(metadata=aio.client.V1ObjectMeta(name="async"), data={"a": "1"})
            await core.create_namespaced_config_map(official.namespace, body)
            await core.patch_namespaced_config_map("async", official.namespace, {"data": {"a": "2"}})
            await core.delete_namespaced_config_map("async", official.namespace)
            stream = aio.watch.Watch().stream(
                core.list_namespaced_config_map, official.namespace, resource_version=version, timeout_seconds=1
            )
            return [(event["type"], event["object"].data["a"]) async for event in stream]

    stage.same(asyncio.run(speak()), [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], "the events")


def a_finalizer_holds_what_is_deleted(official):
    body = stage.gadget("held", official.namespace)
    body["metadata"]["finalizers"] = ["clients.example.test/hold"]
    official.custom.create_namespaced_custom_object(body=body, **official.place)
    answer = official.delete("held")
    assert answer["metadata"]["deletionTimestamp"], answer
    stage.same(official.get("held")["metadata"]["finalizers"], ["clients.example.test/hold"], "the finalizers")
    official.patch("held", [{"op": "remove", "path": "/metadata/finalizers/0"}], _content_type=JSON)
    stage.wait_until("the object to go", lambda: official.is_gone("held"))


def a_deletion_is_conditional_and_takes_dependents(official):
    owner = official.create("owner")["metadata"]
    reference = client.V1OwnerReference(
        api_version=stage.API_VERSION, kind=stage.KIND, name="owner", uid=owner["uid"], block_owner_deletion=True
    )
    meta = client.V1ObjectMeta(name="dependent", owner_references=[reference])
    official.core.create_namespaced_config_map(official.namespace, client.V1ConfigMap(metadata=meta))
    other = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000"))
    with stage.refused(client.exceptions.ConflictException, status=409):
        official.delete("owner", body=other)
    official.delete("owner", propagation_policy="Foreground")
    stage.wait_until("the owner to go", lambda: official.is_gone("owner"))
    names = [one.metadata.name for one in official.core.list_namespaced_config_map(official.namespace).items]
    assert "dependent" not in names, names


def a_collection_is_deleted_by_its_labels(official):
    for name in ("page-0", "page-1"):
        official.patch(name, {"metadata": {"labels": {"of": "pages"}}})
    official.custom.delete_collection_namespaced_custom_object(label_selector="of=pages", **official.place)
    names = [item["metadata"]["name"] for item in official.list()["items"]]
    stage.same([name for name in names if name.startswith("page")], ["page-2", "page-3", "page-4"], "what is left")
    official.core.delete_collection_namespaced_secret(official.namespace)
    stage.same(official.core.list_namespaced_secret(official.namespace).items, [], "the Secrets")


def an_outgrown_version_is_gone(official):
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="large"))
    official.core.create_namespaced_config_map(official.namespace, body)

    def write(text):
        official.core.patch_namespaced_config_map("large", official.namespace, {"data": {"text": text}})

    def is_gone():
        try:
            stream = watch.Watch().stream(
                official.core.list_namespace, resource_version="1", timeout_seconds=1, _request_timeout=5
            )
            list(stream)
        except ApiException as error:
            stage.same(error.status, 410, "the status of the refusal")
            return True
        return False

    stage.outgrow(write, is_gone)


def a_namespace_goes_with_all_that_is_in_it(official):
    official.core.delete_namespace(official.namespace)

    def gone():
        try:
            official.core.read_namespace(official.namespace)
        except client.exceptions.NotFoundException:
            return True
        return False

    stage.wait_until("the namespace to go", gone)
    stage.same(official.list()["items"], [], "the objects of a namespace that is gone")


STEPS = [
    the_server_says_who_it_is,
    a_definition_is_applied_and_established,
    a_namespace_is_made,
    an_object_is_made_with_its_defaults_and_read_back,
    what_exists_is_not_made_again,
    what_the_schema_forbids_is_refused,
    a_list_comes_in_pages,
    a_stale_write_is_refused_and_retried,
    typed_kinds_are_made_and_read_back,
    a_typed_object_is_replaced_as_it_was_read,
    an_event_is_read_in_both_groups,
    one_candidate_leads_and_the_other_waits,
    every_patch_does_what_its_type_says,
    every_patch_works_on_typed_kinds,
    an_apply_owns_its_fields_and_meets_a_conflict,
    the_dynamic_client_finds_and_applies,
    the_status_is_a_part_of_its_own,
    the_scale_is_read_patched_and_replaced,
    a_watch_resumes_where_its_cable_was_cut,
    an_informer_resumes_where_its_cable_was_cut,
    a_watch_ends_at_its_time_and_begins_with_what_is_there,
    the_asynchronous_half_speaks_too,
    a_finalizer_holds_what_is_deleted,
    a_deletion_is_conditional_and_takes_dependents,
    a_collection_is_deleted_by_its_labels,
    an_outgrown_version_is_gone,
    a_namespace_goes_with_all_that_is_in_it,
]

if __name__ == "__main__":
    stage.run(STEPS, Official)
