// The cards in which libraries are shown, found by search.
import { t } from '../lib/page.js';
import { get } from '../lib/api.js';
import { h, reason } from '../lib/ui.js';
import { byId } from './dom.js';
import { tell } from './say.js';
import { identifier } from './identifier.js';

// librarySearch binds the form library-search and the list found; tools(library) are what else a card shows.
export function librarySearch(tools = () => []) {
  const form = byId('library-search');
  const search = async () => {
    try {
      const { libraries } = await get(`/api/libraries?q=${encodeURIComponent(form.elements.q.value.trim())}`);
      const cards = libraries.map((library) => card(library, tools(library)));
      byId('found').replaceChildren(...(cards.length ? cards : [h('li', { class: 'none' }, t('libraries.none'))]));
    } catch (error) {
      tell(reason(error));
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    search();
  });
  return search;
}

export function card({ name, version, description, functions }, tools) {
  const calls = functions.map((f) => h('code', { dir: 'ltr' }, `${identifier(name)}.${f}()`));
  return h('li', { class: 'card' },
    h('h3', {}, name, ' ', h('small', {}, t('libraries.version', version))),
    description ? h('p', { class: 'long' }, description) : null,
    h('p', { class: 'calls', 'aria-label': t('libraries.functions') }, ...calls),
    tools.length ? h('div', { class: 'row' }, ...tools) : null);
}
