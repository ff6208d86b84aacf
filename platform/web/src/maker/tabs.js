// Tabs by the ARIA pattern: arrow keys move, one tab is in the order of the Tab key.
import { byId, show } from './dom.js';

// tabs binds the tablist with this id; opened(name) is called with the id of a tab without "tab-".
export function tabs(id, opened) {
  const list = [...byId(id).querySelectorAll('[role=tab]')];
  function select(tab) {
    for (const other of list) {
      other.setAttribute('aria-selected', String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      show(byId(other.getAttribute('aria-controls')), other === tab);
    }
    opened(tab.id.replace('tab-', ''));
  }
  for (const tab of list) tab.addEventListener('click', () => select(tab));
  byId(id).addEventListener('keydown', (event) => {
    const forward = getComputedStyle(byId(id)).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const back = forward === 'ArrowLeft' ? 'ArrowRight' : 'ArrowLeft';
    const shown = list.filter((tab) => !tab.hidden);
    const step = { [forward]: 1, [back]: -1 }[event.key];
    if (!step) return;
    const next = shown.at((shown.indexOf(document.activeElement) + step) % shown.length);
    next.focus();
    select(next);
  });
}
