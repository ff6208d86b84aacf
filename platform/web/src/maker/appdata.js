// The records and key-values of an app, for its program and for the data browser.
import { t } from '../lib/page.js';
import { get } from '../lib/api.js';
import { write } from '../lib/outbox.js';
import { ensureUser } from '../lib/session.js';

export class AppData {
  // changed() is called after each write, so that the data browser can show it.
  constructor(project, changed = () => {}) {
    this.project = project;
    this.changed = changed;
    this.versions = new Map(); // "table id" → the version that we saw last
  }

  async #write(method, rest, body) {
    if (this.project.mine) await this.project.exists();
    await ensureUser();
    const answer = await write(method, `${this.project.path}/${rest}`, body);
    this.changed();
    return answer;
  }

  // A project that has not been saved yet has no data: looking at it must not make one. Neither is it an
  // error to look for what nobody has made.
  async #read(rest, nothing) {
    if (!this.project.version) return nothing;
    try {
      return await get(`${this.project.path}/${rest}`);
    } catch (error) {
      if (error.status === 404) return nothing;
      throw error;
    }
  }

  async tables() {
    return (await this.#read('tables', { tables: [] })).tables;
  }

  // table is {columns, records: [{id, version, value}]}.
  async table(name) {
    const table = await this.#read(`tables/${segment(name)}`, { columns: [], records: [] });
    for (const { id, version } of table.records) this.versions.set(`${name} ${id}`, version);
    return table;
  }

  async read(name) {
    const { records } = await this.table(name);
    return records.map(({ id, value }) => ({ ...value, id }));
  }

  async create(name, { id: _, ...value }) {
    const { id, version } = await this.#write('POST', `tables/${segment(name)}`, { value });
    this.versions.set(`${name} ${id}`, version);
    return { ...value, id };
  }

  // update returns null if somebody else has changed or deleted the record since we saw it.
  async update(name, { id, ...value }) {
    const seen = `${name} ${id}`;
    if (!this.versions.has(seen)) await this.table(name);
    try {
      const { version } = await this.#write('PUT', `tables/${segment(name)}/${id}`, { version: this.versions.get(seen) ?? 1, value });
      this.versions.set(seen, version);
      return { ...value, id };
    } catch (error) {
      if (error.status !== 409 && error.status !== 404) throw error;
      this.versions.delete(seen);
      return null;
    }
  }

  async remove(name, id) {
    try {
      await this.#write('DELETE', `tables/${segment(name)}/${id}`, {});
      return true;
    } catch (error) {
      if (error.status === 404) return false;
      throw error;
    }
  }

  async pairs() {
    return (await this.#read('kv', { pairs: {} })).pairs;
  }

  // pair reads all: to ask for a key that nobody has set would be an error for the browser's console.
  async pair(key) {
    const pairs = await this.pairs();
    return Object.hasOwn(pairs, key) ? pairs[key] : undefined;
  }

  async setPair(key, value) {
    await this.#write('PUT', `kv/${segment(key)}`, { value });
    return true;
  }

  async removePair(key) {
    await this.#write('DELETE', `kv/${segment(key)}`, {});
  }
}

// segment is a name in an address. "." and ".." would be steps in it, however they are written.
function segment(name) {
  if (/^\.{1,2}$/.test(name)) throw new Error(t('applab.badName', 60));
  return encodeURIComponent(name);
}
