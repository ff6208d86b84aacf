// The libraries of an app: those that it imports, others' to choose from, and its own to publish.
import { t } from '../lib/page.js';
import { get } from '../lib/api.js';
import { write } from '../lib/outbox.js';
import { h, reason } from '../lib/ui.js';
import { byId, show } from './dom.js';
import { tell } from './say.js';
import { card, librarySearch } from './librarycards.js';
import { declarationsOf, functionsOf } from './sandbox.js';

export class LibraryPanel {
  // code() is the program as it is now.
  constructor(project, code) {
    Object.assign(this, { project, code });
    this.imports = []; // {uuid, name, version, functions}
    this.sources = new Map(); // "uuid version" → library with its source; a version never changes
    this.search = librarySearch((library) => this.#importTools(library));
    byId('publish').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#publish(event.target);
    });
  }

  set(imports) {
    this.imports = imports;
    const cards = imports.map((library) => card(library, [
      h('button', { type: 'button', onclick: () => this.#change(this.imports.filter((l) => l.uuid !== library.uuid)) }, t('project.delete')),
    ]));
    byId('imported').replaceChildren(...cards);
    show(byId('imported-title'), cards.length > 0);
  }

  // opened is called when the panel comes into view.
  opened() {
    const names = functionsOf(this.code());
    const boxes = names.map((name) => h('label', {},
      h('input', { type: 'checkbox', name: 'functions', value: name, checked: true }), ' ', h('code', { dir: 'ltr' }, `${name}()`)));
    byId('publish-functions').replaceChildren(...(boxes.length ? boxes : [h('p', { class: 'quiet' }, t('applab.libNone'))]));
    const { name } = byId('publish').elements;
    name.value ||= this.project.title.slice(0, 80);
    this.search();
  }

  // load fetches the sources of all imports, for a run.
  async load() {
    return Promise.all(this.imports.map(({ uuid, version }) => this.#fetch(uuid, version)));
  }

  async #fetch(uuid, version) {
    const key = `${uuid} ${version}`;
    if (!this.sources.has(key)) this.sources.set(key, await get(`/api/libraries/${uuid}/${version}`));
    return this.sources.get(key);
  }

  #change(imports) {
    this.set(imports);
    this.project.changed();
  }

  #importTools(library) {
    if (library.uuid === this.project.uuid) return []; // an app has its own functions already
    const versions = Array.from({ length: library.version }, (_, i) => library.version - i);
    const choice = h('select', { 'aria-label': `${library.name}: ${t('libraries.version', '')}` },
      ...versions.map((v) => h('option', { value: v }, t('libraries.version', v))));
    return [choice, h('button', { type: 'button', onclick: () => this.#import(library.uuid, Number(choice.value)) }, t('applab.import'))];
  }

  async #import(uuid, version) {
    try {
      const { name, functions } = await this.#fetch(uuid, version);
      this.#change([...this.imports.filter((l) => l.uuid !== uuid), { uuid, name, version, functions }]);
    } catch (error) {
      tell(t('project.failed', reason(error)));
    }
  }

  async #publish(form) {
    const functions = [...form.querySelectorAll('[name=functions]:checked')].map((box) => box.value);
    if (functions.length === 0) return tell(t('applab.libNone'));
    byId('publish-said').textContent = '';
    try {
      await this.project.exists();
      const { version } = await write('POST', `${this.project.path}/libraries`, {
        name: form.elements.name.value.trim(), description: form.elements.description.value.trim(), source: declarationsOf(this.code()), functions,
      });
      byId('publish-said').textContent = t('applab.published', version);
      await this.search();
    } catch (error) {
      tell(t('project.failed', reason(error)));
    }
    return undefined;
  }
}
