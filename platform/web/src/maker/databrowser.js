// The data browser of App Lab: tables and key-values, changed in place.
import { t } from '../lib/page.js';
import { h, reason } from '../lib/ui.js';
import { byId } from './dom.js';
import { tell, confirmDelete } from './say.js';

const asText = (value) => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

// asValue reads what somebody typed. What was a text stays one: a code "007" must not become 7.
function asValue(text, old) {
  if (typeof old === 'string') return text;
  if (!/^(-?\d|true$|false$|null$|\[|\{)/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export class DataBrowser {
  constructor(data) {
    this.data = data;
    this.name = null;
    this.extra = []; // columns that no record has yet
    this.fresh = new Set(); // tables that no record is in yet
    byId('data-refresh').addEventListener('click', () => this.refresh());
    byId('new-table').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = event.target.elements.name.value.trim();
      if (!name) return;
      event.target.reset();
      this.fresh.add(name);
      this.open(name);
    });
    byId('new-pair').addEventListener('submit', (event) => {
      event.preventDefault();
      const { key, value } = event.target.elements;
      this.#try(async () => {
        await this.data.setPair(key.value, asValue(value.value));
        event.target.reset();
        key.focus();
      });
    });
  }

  // refresh reads everything again. While somebody types in a cell, nothing is taken away below the fingers.
  async refresh() {
    if (byId('panel-data').contains(document.activeElement) && document.activeElement.matches('td input')) return;
    await this.#try(async () => {
      const [tables, pairs] = await Promise.all([this.data.tables(), this.data.pairs()]);
      for (const table of tables) this.fresh.delete(table.name);
      const names = [...tables.map((table) => table.name), ...this.fresh];
      if (!names.includes(this.name)) this.name = names[0] ?? null;
      this.#tables(names, new Map(tables.map((table) => [table.name, table.records])));
      this.#pairs(pairs);
      await this.#table();
    });
  }

  async open(name) {
    this.name = name;
    this.extra = [];
    await this.refresh();
  }

  async #try(work) {
    try {
      await work();
    } catch (error) {
      tell(t('project.failed', reason(error)));
    }
  }

  #tables(names, counts) {
    const buttons = names.map((name) => h('button', {
      type: 'button', class: 'chip', 'aria-pressed': String(name === this.name), onclick: () => this.open(name),
    }, `${name} (${counts.get(name) ?? 0})`));
    byId('table-list').replaceChildren(...(buttons.length ? buttons : [h('p', { class: 'quiet' }, t('applab.noTables'))]));
  }

  async #table() {
    if (!this.name) return byId('table').replaceChildren();
    const name = this.name;
    const { columns, records } = await this.data.table(name);
    const all = [...new Set([...columns, ...this.extra])].filter((column) => column !== 'id');
    const head = h('tr', {}, h('th', { scope: 'col' }, 'id'), ...all.map((column) => h('th', { scope: 'col' }, column)), h('th', {}));
    const rows = records.map((record) => this.#row(name, all, record));
    return byId('table').replaceChildren(
      h('div', { class: 'scroll' }, h('table', { class: 'data' }, h('thead', {}, head), h('tbody', {}, ...rows, this.#newRow(name, all)))),
      this.#newColumn(),
    );
  }

  #row(name, columns, { id, value }) {
    const cells = columns.map((column) => {
      const input = h('input', { value: asText(value[column]), 'aria-label': `${column}, ${id}` });
      input.addEventListener('change', () => this.#try(async () => {
        const next = { ...value, [column]: asValue(input.value, value[column]) };
        if (input.value === '') delete next[column];
        if (await this.data.update(name, { ...next, id })) return void Object.assign(value, next);
        tell(t('applab.rowChanged'));
        await this.#table();
      }));
      return h('td', {}, input);
    });
    return h('tr', {}, h('th', { scope: 'row' }, id), ...cells, h('td', {}, this.#delete(`${name} ${id}`, () => this.data.remove(name, id))));
  }

  #newRow(name, columns) {
    if (columns.length === 0) return '';
    const inputs = columns.map((column) => h('input', { 'aria-label': `${t('applab.newRow')}: ${column}` }));
    const add = () => this.#try(async () => {
      const value = {};
      columns.forEach((column, i) => {
        if (inputs[i].value !== '') value[column] = asValue(inputs[i].value);
      });
      await this.data.create(name, value);
      document.activeElement.blur();
      await this.refresh();
    });
    for (const input of inputs) input.addEventListener('keydown', (event) => event.key === 'Enter' && add());
    return h('tr', {}, h('th', { scope: 'row' }, '+'), ...inputs.map((input) => h('td', {}, input)),
      h('td', {}, h('button', { type: 'button', class: 'small', onclick: add }, t('applab.add'))));
  }

  #newColumn() {
    const input = h('input', { name: 'column', maxlength: 60, required: true, autocomplete: 'off' });
    const form = h('form', { class: 'row' }, h('label', { class: 'field' }, t('applab.newColumn'), ' ', input), h('button', {}, t('applab.add')));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.extra.push(input.value.trim());
      this.#try(() => this.#table());
    });
    return form;
  }

  #pairs(pairs) {
    const rows = Object.entries(pairs).map(([key, value]) => {
      const input = h('input', { value: asText(value), 'aria-label': key });
      input.addEventListener('change', () => this.#try(() => this.data.setPair(key, asValue(input.value, value))));
      return h('tr', {}, h('th', { scope: 'row' }, key), h('td', {}, input), h('td', {}, this.#delete(key, () => this.data.removePair(key))));
    });
    byId('pairs').replaceChildren(...rows);
  }

  #delete(what, remove) {
    const label = `${t('project.delete')}: ${what}`;
    return h('button', { type: 'button', class: 'small', 'aria-label': label, title: label, onclick: async () => {
      if (!(await confirmDelete(what))) return;
      await this.#try(remove);
      await this.refresh();
    } }, '✕');
  }
}
