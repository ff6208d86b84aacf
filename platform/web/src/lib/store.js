// Where the outbox keeps what is not acknowledged: IndexedDB, so that it survives a reload, a closed tab
// and a browser that is gone. Where a browser has none (some private windows), memory has to do.

const NAME = 'outbox';
const TABLE = 'writes';

const memory = new Map();

let database;
function open() {
  database ??= new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: 'seq', autoIncrement: true });
    request.onsuccess = () => {
      // Else a later version of this page in another tab could never upgrade.
      request.result.onversionchange = () => { request.result.close(); database = undefined; };
      done(request.result);
    };
    request.onerror = () => failed(request.error);
    request.onblocked = () => failed(new Error('blocked'));
  }).catch((e) => { database = undefined; throw e; });
  return database;
}

async function transact(mode, durability, work) {
  const transaction = (await open()).transaction(TABLE, mode, { durability });
  const request = work(transaction.objectStore(TABLE));
  return new Promise((done, failed) => {
    transaction.oncomplete = () => done(request.result);
    transaction.onabort = () => failed(transaction.error ?? new Error('aborted'));
  });
}

// add keeps an entry and gives it its place in the order. It resolves when the disk has it.
export async function add(entry) {
  if (!entry.secret) {
    try {
      entry.seq = await transact('readwrite', 'strict', (table) => table.add(entry));
      return;
    } catch (e) {
      console.warn('outbox: kept in memory only:', e);
    }
  }
  const before = await all();
  entry.seq = Math.max(0, ...before.map((other) => other.seq)) + 0.001;
  memory.set(entry.seq, entry);
}

export async function remove(seq) {
  if (memory.delete(seq)) return;
  await transact('readwrite', 'default', (table) => table.delete(seq));
}

// all returns the entries in the order in which they were made.
export async function all() {
  let kept = [];
  try {
    kept = await transact('readonly', 'default', (table) => table.getAll());
  } catch { /* no IndexedDB: what there is, is in memory */ }
  return [...kept, ...memory.values()].sort((a, b) => a.seq - b.seq);
}
