// What the script for the JavaScript client stands on: named steps, bounded waits, a cable to cut. The twin of `python/stage.py`.

import assert from 'node:assert/strict';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export const GROUP = 'clients.example.test';
export const VERSION = 'v1';
export const PLURAL = 'gadgets';
export const KIND = 'Gadget';
export const API_VERSION = `${GROUP}/${VERSION}`;

// No script takes longer, whatever hangs.
const LIMIT_MS = 58_000;
const WAIT_MS = 10_000;

/** Runs the steps in their order; a step is a function whose name is its claim. The first that fails ends the script with code 1. */
export async function run(steps, make) {
  let claim = 'start';
  setTimeout(() => end(`failed ${claim}: it took too long`), LIMIT_MS).unref();
  const [namespace] = process.argv.slice(2);
  if (!namespace || !process.env.KUBECONFIG) end('usage: KUBECONFIG=FILE client.mjs NAMESPACE');
  const subject = make(namespace);
  for (const step of steps) {
    claim = step.name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    try {
      await step(subject);
    } catch (error) {
      console.error(error);
      end(`failed ${claim}: ${error.message}`);
    }
    console.log(`ok ${claim}`);
  }
  process.exit(0); // watches that are still open are not waited for
}

function end(message) {
  console.log(message);
  process.exit(1);
}

/** Looks again and again until something is found, and gives it. */
export async function waitUntil(what, look) {
  const limit = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert(Date.now() < limit, `waited ${WAIT_MS} ms in vain for ${what}`);
    await sleep(50);
  }
}

/** The code with which a call is refused, or nothing. */
export async function refusal(call) {
  try {
    await call;
  } catch (error) {
    if (error.code === undefined) throw error;
    return error.code;
  }
  return undefined;
}

/** The least manifest of a Gadget. */
export function gadget(name, namespace, spec = {}) {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace }, spec };
}

const BEFORE = [['add', 'first', 'one'], ['update', 'first', 'two']];
const MEANWHILE = [['update', 'first', 'three'], ['add', 'second', 'one'], ['delete', 'first', 'three']];
const AFTER = [['update', 'second', 'two']];

/** The changes that a watch is shown, some of them while its cable is cut; each must be seen once and in order. */
export class Story {
  events = [];
  versions = [];

  see(event, name, note, version) {
    this.events.push([event, name, note]);
    this.versions.push(Number(version));
  }

  async waitFor(events) {
    await waitUntil('events', () => this.events.length >= events.length).catch(() => {});
    assert.deepEqual(this.events, events, 'events of the watch');
  }

  /** Makes all the changes by the client's own calls: create(name, note), change(name, note), remove(name). */
  async tell(cable, create, change, remove) {
    await create('first', 'one');
    // A client that lists before it watches would otherwise meet the second state first, and rightly.
    await this.waitFor(BEFORE.slice(0, 1));
    await change('first', 'two');
    await this.waitFor(BEFORE);
    cable.cut();
    await change('first', 'three');
    await create('second', 'one');
    await remove('first');
    cable.mend();
    await this.waitFor([...BEFORE, ...MEANWHILE]);
    await change('second', 'two');
    await this.waitFor([...BEFORE, ...MEANWHILE, ...AFTER]);
    const sorted = [...new Set(this.versions)].sort((one, other) => one - other);
    assert.deepEqual(this.versions, sorted, 'versions of the events');
  }
}

/** A relay in front of the API that can be cut and mended: every connection through it breaks without a word. */
export class Cable {
  #open = new Set();
  #whole = true;

  /** A cable to the server of that address. */
  static async to(server) {
    const cable = new Cable();
    const { hostname: host, port } = new URL(server);
    const relay = net.createServer((near) => cable.#connect(near, { host, port: Number(port) }));
    relay.unref();
    await new Promise((ready) => relay.listen(0, '127.0.0.1', ready));
    cable.server = `https://127.0.0.1:${relay.address().port}`;
    return cable;
  }

  cut() {
    this.#whole = false;
    for (const end of this.#open) end.resetAndDestroy();
    this.#open.clear();
  }

  mend() {
    this.#whole = true;
  }

  #connect(near, target) {
    if (!this.#whole) {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect(target);
    for (const [source, sink] of [[near, far], [far, near]]) {
      this.#open.add(source);
      source.on('error', () => {}); // a broken connection is closed too
      source.on('close', () => sink.destroy());
      source.pipe(sink);
    }
  }
}
