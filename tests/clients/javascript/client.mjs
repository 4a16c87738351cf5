// What @kubernetes/client-node does against this API: typed kinds, custom objects, the object API with its four patch strategies,
// watches, an informer that resumes.
//
// The client is used as published; each step is named after what it proves. `KUBECONFIG=FILE node client.mjs NAMESPACE`

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import * as k8s from '@kubernetes/client-node';

import { API_VERSION, Cable, GROUP, KIND, PLURAL, Story, VERSION, gadget, refusal, run, waitUntil } from './stage.mjs';

const DEFINITION = new URL('../gadget.yaml', import.meta.url);
const { JsonPatch, MergePatch, ServerSideApply, StrategicMergePatch } = k8s.PatchStrategy;

/** The halves of the client that the steps use, and short forms for the calls that name a Gadget. */
class Client {
  constructor(namespace) {
    this.namespace = namespace;
    this.config = new k8s.KubeConfig();
    this.config.loadFromDefault();
    this.core = this.config.makeApiClient(k8s.CoreV1Api);
    this.leases = this.config.makeApiClient(k8s.CoordinationV1Api);
    this.events = this.config.makeApiClient(k8s.EventsV1Api);
    this.extensions = this.config.makeApiClient(k8s.ApiextensionsV1Api);
    this.custom = this.config.makeApiClient(k8s.CustomObjectsApi);
    this.objects = k8s.KubernetesObjectApi.makeApiClient(this.config);
    this.place = { group: GROUP, version: VERSION, namespace, plural: PLURAL };
  }

  create(name, spec) {
    return this.custom.createNamespacedCustomObject({ ...this.place, body: gadget(name, this.namespace, spec) });
  }

  get(name) {
    return this.custom.getNamespacedCustomObject({ ...this.place, name });
  }

  patch(name, body, strategy = MergePatch) {
    return this.custom.patchNamespacedCustomObject({ ...this.place, name, body }, withType(strategy));
  }

  remove(name, options = {}) {
    return this.custom.deleteNamespacedCustomObject({ ...this.place, name, ...options });
  }

  list(options = {}) {
    return this.custom.listNamespacedCustomObject({ ...this.place, ...options });
  }

  async isGone(name) {
    return (await refusal(this.get(name))) === 404;
  }
}

function withType(type) {
  return k8s.setHeaderOptions('Content-Type', type);
}

function names(list) {
  return list.items.map((item) => item.metadata.name);
}

async function aDefinitionIsAppliedAndEstablished(client) {
  const [definition] = k8s.loadAllYaml(readFileSync(DEFINITION, 'utf8'));
  await client.objects.patch(definition, undefined, undefined, 'clients', true, ServerSideApply);
  await waitUntil('the definition', async () => {
    const { status } = await client.extensions.readCustomResourceDefinition({ name: definition.metadata.name });
    return status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True');
  });
}

async function aNamespaceIsMade(client) {
  const made = await client.core.createNamespace({ body: { metadata: { name: client.namespace } } });
  assert.equal(made.status.phase, 'Active');
}

async function anObjectIsMadeWithItsDefaultsAndReadBack(client) {
  const made = await client.create('base', { note: 'kept', ports: [{ name: 'web', port: 80 }] });
  const ports = [{ name: 'web', port: 80, protocol: 'TCP' }];
  assert.deepEqual(made.spec, { note: 'kept', size: 'small', replicas: 1, limit: 10, ports });
  assert.deepEqual(await client.get('base'), made);
  const dry = gadget('dry', client.namespace);
  await client.objects.create(dry, undefined, 'All');
  assert(await client.isGone('dry'), 'a dry run wrote');
}

async function whatExistsOrIsWrongOrAbsentIsRefused(client) {
  await assert.rejects(client.create('base'), (error) => {
    assert(error instanceof k8s.ApiException);
    assert.equal(error.code, 409);
    assert.match(JSON.stringify(error.body), /AlreadyExists/);
    return true;
  });
  const wrong = [{ size: 'huge' }, { replicas: 11 }, { ports: [{ name: 'a', port: 1 }, { name: 'a', port: 2 }] }];
  for (const spec of wrong) assert.equal(await refusal(client.create('wrong', spec)), 422, JSON.stringify(spec));
  const body = gadget('wrong', client.namespace, { colour: 'red' });
  const strict = client.custom.createNamespacedCustomObject({ ...client.place, body, fieldValidation: 'Strict' });
  assert.equal(await refusal(strict), 400);
  assert.equal(await refusal(client.get('absent')), 404);
}

async function aListComesInPages(client) {
  const expected = ['base'];
  for (let number = 0; number < 5; number += 1) {
    expected.push(`page-${number}`);
    await client.create(`page-${number}`);
  }
  const found = [];
  let token;
  do {
    const page = await client.list({ limit: 2, _continue: token });
    assert(page.items.length <= 2);
    found.push(...names(page));
    token = page.metadata.continue;
  } while (token);
  assert.deepEqual(found, expected);
  assert.deepEqual(names(await client.objects.list(API_VERSION, KIND, client.namespace)), expected);
  assert.deepEqual(names(await client.list({ fieldSelector: 'metadata.name=page-3' })), ['page-3']);
}

async function typedKindsAreMadeAndReadBack(client) {
  const { core, namespace } = client;
  let body = { metadata: { name: 'settings' }, data: { a: '1', b: '2' } };
  await core.createNamespacedConfigMap({ namespace, body });
  const settings = await core.readNamespacedConfigMap({ namespace, name: 'settings' });
  assert.deepEqual(settings.data, { a: '1', b: '2' });
  assert(settings.metadata.creationTimestamp instanceof Date);
  body = { metadata: { name: 'hidden' }, stringData: { word: 'sesame' } };
  const hidden = await core.createNamespacedSecret({ namespace, body });
  assert.deepEqual([hidden.type, hidden.data, hidden.stringData], ['Opaque', { word: 'c2VzYW1l' }, undefined]);
}

async function aTypedObjectIsReplacedAsItWasRead(client) {
  // The client writes the times that it read in another form: `.000Z` instead of `Z`.
  const { core, namespace } = client;
  const settings = await core.readNamespacedConfigMap({ namespace, name: 'settings' });
  settings.data.a = 'one';
  const newer = await core.replaceNamespacedConfigMap({ namespace, name: 'settings', body: settings });
  assert.deepEqual(newer.data, { a: 'one', b: '2' });
  assert.equal(await refusal(core.replaceNamespacedConfigMap({ namespace, name: 'settings', body: settings })), 409);
  const base = await client.objects.read(gadget('base', namespace));
  base.spec.note = 'replaced';
  assert.equal((await client.objects.replace(base)).spec.note, 'replaced');
}

async function aLeaseIsTakenAndHandedOn(client) {
  const { leases, namespace } = client;
  const spec = { holderIdentity: 'one', leaseDurationSeconds: 15, renewTime: new k8s.V1MicroTime() };
  const lease = await leases.createNamespacedLease({ namespace, body: { metadata: { name: 'leader' }, spec } });
  lease.spec.holderIdentity = 'other';
  lease.spec.renewTime = new k8s.V1MicroTime();
  const taken = await leases.replaceNamespacedLease({ namespace, name: 'leader', body: lease });
  assert.equal(taken.spec.holderIdentity, 'other');
}

async function anEventIsReadInBothGroups(client) {
  const { namespace } = client;
  const { uid } = (await client.get('base')).metadata;
  const body = {
    metadata: { generateName: 'base-' },
    regarding: { apiVersion: API_VERSION, kind: KIND, name: 'base', namespace, uid },
    action: 'Polish', reason: 'Polished', note: 'it shines', type: 'Normal',
    eventTime: new k8s.V1MicroTime(),
    reportingController: 'clients.example.test/polisher', reportingInstance: 'polisher-0',
  };
  await client.events.createNamespacedEvent({ namespace, body });
  const newer = await client.events.listNamespacedEvent({ namespace });
  assert.deepEqual(newer.items.map(({ note, regarding }) => [note, regarding.uid]), [['it shines', uid]]);
  const core = await client.core.listNamespacedEvent({ namespace, fieldSelector: `involvedObject.uid=${uid}` });
  assert.deepEqual(core.items.map(({ message }) => message), ['it shines']);
}

async function everyPatchDoesWhatItsTypeSays(client) {
  let patched = await client.patch('base', { spec: { note: null, size: 'large' } });
  assert.deepEqual([patched.spec.note, patched.spec.size], [undefined, 'large']);
  const add = { op: 'add', path: '/spec/ports/-', value: { name: 'metrics', port: 9090 } };
  // The client's default is a JSON patch.
  patched = await client.custom.patchNamespacedCustomObject({ ...client.place, name: 'base', body: [add] });
  assert.deepEqual(patched.spec.ports.map(({ name }) => name), ['web', 'metrics']);
  const test = { op: 'test', path: '/spec/size', value: 'small' };
  assert.equal(await refusal(client.patch('base', [test], JsonPatch)), 422);
  const { core, namespace } = client;
  const replace = { op: 'replace', path: '/data/a', value: '1' };
  const settings = await core.patchNamespacedConfigMap({ namespace, name: 'settings', body: [replace] });
  assert.equal(settings.data.a, '1');
}

async function theObjectApiPatchesByItsDefault(client) {
  const { namespace, objects } = client;
  const metadata = { name: 'settings', namespace };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { b: null, c: '3' } };
  assert.deepEqual((await objects.patch(map)).data, { a: '1', c: '3' }, 'strategic, the default');
  assert.equal(await refusal(objects.patch(gadget('base', namespace))), 415, 'strategic, of a custom resource');
  const base = gadget('base', namespace, { note: 'merged' });
  const merged = await objects.patch(base, undefined, undefined, undefined, undefined, MergePatch);
  assert.equal(merged.spec.note, 'merged');
  const body = { data: { d: '4' } };
  const typed = withType(StrategicMergePatch);
  const strategic = await client.core.patchNamespacedConfigMap({ namespace, name: 'settings', body }, typed);
  assert.deepEqual(strategic.data, { a: '1', c: '3', d: '4' });
}

async function anApplyOwnsItsFieldsAndMeetsAConflict(client) {
  const apply = (manager, spec, force) => {
    const wanted = gadget('shared', client.namespace, spec);
    return client.objects.patch(wanted, undefined, undefined, manager, force, ServerSideApply);
  };
  const web = { name: 'web', port: 80 };
  const made = await apply('one', { note: 'from one', ports: [web] });
  const again = await apply('one', { note: 'from one', ports: [web] });
  assert.equal(again.metadata.resourceVersion, made.metadata.resourceVersion);
  await assert.rejects(apply('two', { note: 'from two' }), (error) => {
    assert.equal(error.code, 409);
    assert.match(JSON.stringify(error.body), /\.spec\.note/);
    return true;
  });
  const forced = await apply('two', { note: 'from two', ports: [{ name: 'metrics', port: 9090 }] }, true);
  assert.deepEqual(forced.spec.ports.map(({ name }) => name).sort(), ['metrics', 'web']);
  const left = await apply('one', {});
  assert.deepEqual(left.spec.ports.map(({ name }) => name), ['metrics']);
  assert.equal(left.spec.note, 'from two');
}

async function theStatusAndTheScaleArePartsOfTheirOwn(client) {
  const { custom } = client;
  const at = { ...client.place, name: 'base' };
  const before = await client.get('base');
  const condition = { type: 'Ready', status: 'True' };
  let body = { spec: { note: 'sneaked in' }, status: { replicas: 2, selector: 'a=b', conditions: [condition] } };
  const after = await custom.patchNamespacedCustomObjectStatus({ ...at, body }, withType(MergePatch));
  assert.deepEqual([after.status.conditions, after.spec], [[condition], before.spec]);
  assert.equal(after.metadata.generation, before.metadata.generation);
  after.status.replicas = 3;
  await custom.replaceNamespacedCustomObjectStatus({ ...at, body: after });
  const scale = await custom.getNamespacedCustomObjectScale(at);
  assert.deepEqual([scale.kind, scale.spec.replicas, scale.status], ['Scale', 1, { replicas: 3, selector: 'a=b' }]);
  scale.spec.replicas = 5;
  await custom.replaceNamespacedCustomObjectScale({ ...at, body: scale });
  body = { spec: { replicas: 6 } };
  await custom.patchNamespacedCustomObjectScale({ ...at, body }, withType(MergePatch));
  assert.equal((await client.get('base')).spec.replicas, 6);
}

async function anInformerResumesWhereItsCableWasCut(client) {
  const { config, core, namespace } = client;
  const cable = await Cable.to(config.getCurrentCluster().server);
  const far = new k8s.KubeConfig();
  far.loadFromOptions({
    clusters: [{ ...config.getCurrentCluster(), server: cable.server }],
    users: config.getUsers(), contexts: config.getContexts(), currentContext: config.getCurrentContext(),
  });
  const labelSelector = 'told=yes';
  const farCore = far.makeApiClient(k8s.CoreV1Api);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  let lists = 0;
  const informer = k8s.makeInformer(far, path, () => {
    lists += 1;
    return farCore.listNamespacedConfigMap({ namespace, labelSelector });
  }, labelSelector);
  const story = new Story();
  for (const event of ['add', 'update', 'delete']) {
    informer.on(event, ({ metadata, data }) => story.see(event, metadata.name, data.note, metadata.resourceVersion));
  }
  informer.on('error', () => setTimeout(() => informer.start(), 50)); // as its documentation advises
  await informer.start();
  const told = (name, note) => ({ metadata: { name, labels: { told: 'yes' } }, data: { note } });
  await story.tell(
    cable,
    (name, note) => core.createNamespacedConfigMap({ namespace, body: told(name, note) }),
    (name, note) => core.patchNamespacedConfigMap({ namespace, name, body: { data: { note } } }, withType(MergePatch)),
    (name) => core.deleteNamespacedConfigMap({ namespace, name }),
  );
  assert.equal(lists, 1, 'it listed again instead of resuming');
  assert.deepEqual(informer.list(namespace).map(({ metadata }) => metadata.name), ['second']);
  await informer.stop();
}

async function aWatchSeesEverythingAndEndsAtItsTime(client) {
  const { metadata } = await client.list();
  await client.create('watched', { note: 'one' });
  await client.patch('watched', { spec: { note: 'two' } });
  await client.remove('watched');
  const { resourceVersion } = metadata;
  const seen = await watch(client, { resourceVersion, timeoutSeconds: 1, allowWatchBookmarks: true });
  const events = seen.filter(({ phase }) => phase !== 'BOOKMARK').map(({ phase, object }) => [phase, object.spec.note]);
  assert.deepEqual(events, [['ADDED', 'one'], ['MODIFIED', 'two'], ['DELETED', 'two']]);
  assert.equal(seen.at(-1).phase, 'BOOKMARK', 'the last event before the end');
}

/** All events of a watch over Gadgets, until it ends. */
function watch(client, options, path = `/apis/${API_VERSION}/namespaces/${client.namespace}/${PLURAL}`) {
  const seen = [];
  return new Promise((resolve, reject) => {
    const note = (phase, object) => seen.push({ phase, object });
    new k8s.Watch(client.config).watch(path, options, note, (error) => (error ? reject(error) : resolve(seen)));
  });
}

async function aFinalizerHoldsWhatIsDeleted(client) {
  const body = gadget('held', client.namespace);
  body.metadata.finalizers = ['clients.example.test/hold'];
  await client.objects.create(body);
  await client.objects.delete(gadget('held', client.namespace));
  assert((await client.get('held')).metadata.deletionTimestamp, 'it is not being deleted');
  await client.patch('held', [{ op: 'remove', path: '/metadata/finalizers' }], JsonPatch);
  await waitUntil('the object to go', () => client.isGone('held'));
}

async function aDeletionTakesDependentsWithIt(client) {
  const { core, namespace } = client;
  const { uid } = (await client.create('owner')).metadata;
  const owner = { apiVersion: API_VERSION, kind: KIND, name: 'owner', uid, blockOwnerDeletion: true };
  const body = { metadata: { name: 'dependent', ownerReferences: [owner] } };
  await core.createNamespacedConfigMap({ namespace, body });
  const other = { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } };
  assert.equal(await refusal(client.remove('owner', { body: other })), 409);
  await client.remove('owner', { propagationPolicy: 'Foreground' });
  await waitUntil('the owner to go', () => client.isGone('owner'));
  assert.equal(await refusal(core.readNamespacedConfigMap({ namespace, name: 'dependent' })), 404);
}

async function aCollectionIsDeletedByItsLabels(client) {
  for (const name of ['page-0', 'page-1']) await client.patch(name, { metadata: { labels: { of: 'pages' } } });
  await client.custom.deleteCollectionNamespacedCustomObject({ ...client.place, labelSelector: 'of=pages' });
  const left = names(await client.list()).filter((name) => name.startsWith('page'));
  assert.deepEqual(left, ['page-2', 'page-3', 'page-4']);
}

async function anOutgrownVersionIsGone(client) {
  // Kubernetes forgets with time, within minutes. This API also bounds the past by its size, some 64 MiB.
  const { core, namespace } = client;
  const text = 'x'.repeat(1_000_000);
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'large' } } });
  for (let number = 0; number < 160; number += 1) {
    const body = { data: { text: `${number} ${text}` } };
    await core.patchNamespacedConfigMap({ namespace, name: 'large', body }, withType(MergePatch));
    if (number < 64 || number % 8 !== 0) continue;
    const seen = await watch(client, { resourceVersion: '1', timeoutSeconds: 1 }, '/api/v1/namespaces');
    const error = seen.find(({ phase }) => phase === 'ERROR');
    if (!error) continue;
    assert.deepEqual([error.object.code, error.object.reason], [410, 'Expired']);
    return;
  }
  assert.fail('version 1 is still kept after so many large values');
}

async function aNamespaceGoesWithAllThatIsInIt(client) {
  const { core, namespace: name } = client;
  await core.deleteNamespace({ name });
  await waitUntil('the namespace to go', async () => (await refusal(core.readNamespace({ name }))) === 404);
  assert.deepEqual((await client.list()).items, []);
}

const STEPS = [
  aDefinitionIsAppliedAndEstablished,
  aNamespaceIsMade,
  anObjectIsMadeWithItsDefaultsAndReadBack,
  whatExistsOrIsWrongOrAbsentIsRefused,
  aListComesInPages,
  typedKindsAreMadeAndReadBack,
  aTypedObjectIsReplacedAsItWasRead,
  aLeaseIsTakenAndHandedOn,
  anEventIsReadInBothGroups,
  everyPatchDoesWhatItsTypeSays,
  theObjectApiPatchesByItsDefault,
  anApplyOwnsItsFieldsAndMeetsAConflict,
  theStatusAndTheScaleArePartsOfTheirOwn,
  anInformerResumesWhereItsCableWasCut,
  aWatchSeesEverythingAndEndsAtItsTime,
  aFinalizerHoldsWhatIsDeleted,
  aDeletionTakesDependentsWithIt,
  aCollectionIsDeletedByItsLabels,
  anOutgrownVersionIsGone,
  aNamespaceGoesWithAllThatIsInIt,
];

await run(STEPS, (namespace) => new Client(namespace));
