// The list of activities shows how far the visitor is in each.
import { number, page } from './lib/page.js';
import { get } from './lib/api.js';

if (page.user) {
  for (const card of document.querySelectorAll('[data-script]')) {
    get(`/api/progress?script=${encodeURIComponent(card.dataset.script)}`).then(({ levels }) => {
      const done = levels.filter((level) => level.bestResult >= 20).length;
      if (done === 0) return;
      const bar = card.querySelector('progress');
      bar.value = done;
      bar.hidden = false;
      bar.setAttribute('aria-label', `${number(done)} / ${number(bar.max)}`);
    }, (e) => console.warn('no progress:', e));
  }
}
