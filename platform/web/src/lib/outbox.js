// The outbox: a write stays here until the server has said yes or no to it.
//
// A write gets its operation id when it is made and keeps it for ever, so that sending it twice does no
// harm: the server answers the second time what it answered the first. That makes everything here simple:
// when in doubt, send again.
//
// Order. Writes to one path go one after another. Writes that change who the browser is (a guest is made,
// someone signs in or out) wait for all that were made before, and all later ones wait for them: a Run of
// one student can't be sent with the session of the next.
//
// Tabs. All tabs share the store. Whoever holds the lock "outbox" sends for all, one tab at a time; the
// others hear of it through a channel. A tab lets go of the lock while it waits for a server that is away.
import { uuidv7 } from './ids.js';
import { ApiError, Unanswered, call } from './api.js';
import { lock } from './lock.js';
import * as store from './store.js';

const LOCK = 'outbox';
const barriers = new Set(['/api/guest', '/api/account', '/api/sign-in', '/api/sign-out']);
const channel = new BroadcastChannel('outbox');

const waits = new Map(); // op → [{resolve, reject}], of whoever in this page waits for its answer
const due = new Map(); // path → {at, tries}: the server was away, try again then
const listeners = new Set();
const answered = new Set();

let count = 0;
let refusal = null; // the last ApiError, until a later write is acknowledged

// write keeps {op, ...body} until the server has it and resolves with the answer. It rejects with ApiError
// if the server refuses. A Blob as body is sent as it is, with the op in the query.
// label names it for a person, should it be refused.
// secret: don't put it on the disk (passwords); it is then lost with the page.
// The promise has a property kept: a promise that resolves when the write is safe from a reload.
export function write(method, path, body = {}, { label = '', secret = false } = {}) {
  const op = uuidv7();
  const bytes = body instanceof Blob;
  const entry = {
    op, method, path, label, secret,
    body: bytes ? body : JSON.stringify({ op, ...body }),
  };
  const answer = answerTo(op);
  answer.kept = store.add(entry).then(async () => {
    due.delete(path);
    await changed();
    tell({ added: op });
    wake();
  });
  answer.catch(() => {}); // a caller that does not wait still sees a refusal through onChange
  return answer;
}

export const pending = () => count;

// state is "saved" (nothing is open), "saving", "waiting" (the server is away, we try again) or "refused".
export function state() {
  if (count > 0) return due.size > 0 ? 'waiting' : 'saving';
  return refusal ? 'refused' : 'saved';
}

// onChange calls fn(pending, state, refusal) whenever one of them changes. It returns how to stop that.
export function onChange(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

// onAnswer calls fn(path, body, answer) for every acknowledged write, of a page before this one too.
export function onAnswer(fn) {
  answered.add(fn);
}

// queued says whether a write to path waits to be sent.
export const queued = async (path) => (await store.all()).some((entry) => entry.path === path);

// waiting resolves with the answer of the write to path that waits to be sent, at once with undefined if none does.
export async function waiting(path) {
  const entry = (await store.all()).find((other) => other.path === path);
  if (!entry) return undefined;
  const { op } = entry;
  const answer = answerTo(op);
  answer.catch(() => {}); // if it is not returned
  // It may have been answered while we looked; then nobody will tell us any more.
  const gone = !(await store.all()).some((other) => other.op === op);
  if (gone && waits.has(op)) return undefined;
  return answer;
}

function answerTo(op) {
  return new Promise((resolve, reject) => {
    if (!waits.has(op)) waits.set(op, []);
    waits.get(op).push({ resolve, reject });
  });
}

async function changed() {
  count = (await store.all()).length;
  for (const fn of listeners) fn(count, state(), refusal);
}

function tell(message) {
  channel.postMessage(message);
}

channel.onmessage = ({ data }) => {
  if (data.done) settle(data.done);
  else wake();
  changed();
};

// settle gives a final answer to whoever waits for it in this page.
function settle({ op, path, label, body, answer, error }) {
  const refused = error && new ApiError(error.status, { error: error.code, message: error.message, field: error.field });
  refusal = refused ? Object.assign(refused, { label }) : null;
  due.delete(path);
  if (!refused) for (const fn of answered) fn(path, body, answer);
  for (const { resolve, reject } of waits.get(op) ?? []) {
    if (refused) reject(refused);
    else resolve(answer);
  }
  waits.delete(op);
}

// The sender. It sleeps until something wakes it: a new write, a channel message, the time of a retry,
// the network being back.
let awake = false;
let sleeping = null;
let nudge = null;

function wake() {
  awake = true;
  sleeping?.();
  nudge?.();
}

async function sender() {
  for (;;) {
    awake = false;
    let failed = false;
    await lock(LOCK, round).catch((e) => { failed = true; console.warn('outbox:', e); });
    const next = failed ? Date.now() + 1000 : Math.min(...Array.from(due.values(), ({ at }) => at));
    if (awake) continue;
    await new Promise((done) => {
      sleeping = done;
      if (next < Infinity) setTimeout(done, Math.max(0, next - Date.now()));
    });
    sleeping = null;
  }
}

// round sends whatever may be sent, and returns when nothing is left that could be sent now.
async function round() {
  const active = new Map(); // path → promise
  for (;;) {
    awake = false;
    for (const entry of sendable(await store.all(), active)) {
      active.set(entry.path, send(entry).finally(() => active.delete(entry.path)));
    }
    if (active.size === 0) return;
    const news = new Promise((done) => { nudge = done; if (awake) done(); });
    await Promise.race([news, ...active.values()]);
    nudge = null;
  }
}

// sendable picks the first write of each path, up to the first one that all must wait for.
function sendable(entries, active) {
  const now = Date.now();
  const seen = new Set();
  const picked = [];
  for (const [i, entry] of entries.entries()) {
    const barrier = barriers.has(entry.path);
    if (barrier && i > 0) break;
    const key = entry.path;
    if (!seen.has(key) && !active.has(key) && !(due.get(key)?.at > now)) picked.push(entry);
    seen.add(key);
    if (barrier) break;
  }
  return picked;
}

async function send(entry) {
  let done;
  try {
    const answer = await call(...request(entry));
    done = { answer };
  } catch (e) {
    if (e instanceof ApiError) {
      done = { error: { status: e.status, code: e.code, message: e.message, field: e.field } };
    } else {
      postpone(entry, e instanceof Unanswered ? e.after : 0);
      await changed();
      return;
    }
  }
  await store.remove(entry.seq);
  const { op, path, label, body } = entry;
  done = { ...done, op, path, label, body: entry.secret || typeof body !== 'string' ? {} : JSON.parse(body) };
  settle(done);
  tell({ done });
  await changed();
}

function request({ op, method, path, body }) {
  if (body instanceof Blob) {
    const joined = path + (path.includes('?') ? '&' : '?') + 'op=' + op;
    return [joined, { method, body, headers: { 'Content-Type': body.type } }, 120_000];
  }
  return [path, { method, body, headers: { 'Content-Type': 'application/json' } }];
}

// postpone doubles the time between tries up to half a minute, and spreads it: a whole school must not come
// back in the same moment.
function postpone(entry, after) {
  const tries = (due.get(entry.path)?.tries ?? 0) + 1;
  const wait = Math.min(30_000, 400 * 2 ** tries) * (0.5 + Math.random() / 2);
  due.set(entry.path, { at: Date.now() + Math.max(wait, after), tries });
}

addEventListener('online', () => { due.clear(); wake(); });
addEventListener('pageshow', wake);
changed();
sender();
