// What a page says to the person: a line that goes away by itself, and a question before something is deleted.
import { t } from '../lib/page.js';
import { h } from '../lib/ui.js';

const SHOWN_MS = 7000;
let line;

export function tell(text) {
  line ??= document.body.appendChild(h('p', { class: 'tell', role: 'alert' }));
  line.textContent = text;
  line.hidden = false;
  clearTimeout(line.timer);
  line.timer = setTimeout(() => (line.hidden = true), SHOWN_MS);
}

export function confirmDelete(name) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'dialog' },
      h('p', {}, t('project.deleteSure', name)),
      h('div', { class: 'row' },
        h('button', { type: 'button', onclick: () => dialog.close('yes') }, t('project.delete')),
        h('button', { type: 'button', onclick: () => dialog.close() }, t('project.close'))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
