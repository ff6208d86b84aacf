// Small things for building pages.
import { t } from './page.js';
import { onChange, pending, state } from './outbox.js';

// h makes an element: h('button', {class: 'primary', onclick: fn, disabled: false}, 'Run').
// An attribute that is false, null or undefined is left out; a child that is one, too.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

// s is h for SVG.
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? '' : value);
  }
}

export const $ = (selector, within = document) => within.querySelector(selector);

// saved shows in an element how it stands with what the page has written. Nothing is shown before the first write.
export function saved(element) {
  let used = pending() > 0;
  element.setAttribute('role', 'status');
  const show = (count, now, refusal) => {
    used ||= count > 0 || now === 'refused';
    if (!used) return;
    element.dataset.state = now;
    element.textContent = {
      saved: () => t('common.saved'),
      saving: () => t('common.saving'),
      waiting: () => t('common.unsaved'),
      refused: () => t('common.not_saved', [refusal.label, reason(refusal)].filter(Boolean).join(': ')),
    }[now]();
  };
  show(pending(), state());
  return onChange(show);
}

// reason says for a person why something was refused, in the page's language where there is a text for it.
export function reason(error) {
  const key = 'error.' + (error.code ?? 'internal').replaceAll('-', '_');
  const text = t(key, error.field ?? error.message);
  return text === key ? error.message : text;
}

// submit runs work when a form is sent, one at a time, and shows in the form's .problem why it failed.
export function submit(form, work) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button[type=submit], button:not([type])');
    const problem = form.querySelector('.problem');
    problem.textContent = '';
    button.disabled = true;
    try {
      await work(Object.fromEntries(new FormData(form)));
    } catch (error) {
      problem.textContent = reason(error);
      const field = error.field && form.elements[error.field];
      (field || button).focus?.();
    } finally {
      button.disabled = false;
    }
  });
}

export const still = matchMedia('(prefers-reduced-motion: reduce)');
