// A class as it works: students and puzzles as a grid that keeps itself up to date.
import { number, page, t } from './lib/page.js';
import { get } from './lib/api.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, h, reason, saved } from './lib/ui.js';
import { courseTitles, levelState, nameOf } from './lib/words.js';

const EVERY = 3000;

const titles = courseTitles();
const table = $('#grid');
const rows = new Map(); // student id → {row, cells: Map(level → button)}
let section = null;
let levels = [];

saved($('#saved'));
poll();

// poll asks again after each answer, never while one is open, and not while nobody looks.
async function poll() {
  try {
    show(await get(`/api/sections/${page.section}/progress`));
    $('#problem').textContent = '';
  } catch (e) {
    $('#problem').textContent = reason(e);
    if (e.status === 401 || e.status === 403 || e.status === 404) return;
  }
  await new Promise((done) => setTimeout(done, EVERY));
  if (document.hidden) {
    await new Promise((done) => document.addEventListener('visibilitychange', done, { once: true }));
  }
  poll();
}

function show(grid) {
  if (!section) begin(grid);
  const present = new Set();
  for (const student of grid.students) {
    present.add(student.id);
    update(rows.get(student.id) ?? add(student), student);
  }
  for (const [id, { row }] of rows) {
    if (present.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  $('#nobody').hidden = grid.students.length > 0;
  table.hidden = grid.students.length === 0;
  $('#count').textContent = t('teach.students', number(grid.students.length));
  $('#live').textContent = t('teach.live', new Date().toLocaleTimeString(page.locale));
}

function begin(grid) {
  section = grid.section;
  levels = grid.levels;
  $('#name').textContent = section.name;
  document.title = `${section.name} · ${t('teach.title')}`;
  $('#code').textContent = section.code;
  $('#code-hint').textContent = t('teach.code_hint', `${location.host}/join`, section.code);
  $('thead', table).replaceChildren(h('tr', {},
    h('th', { scope: 'col' }, t('teach.student')),
    levels.map(({ level, title }) => h('th', { scope: 'col', title }, number(level))),
    h('td', {})));
}

function add(student) {
  const cells = new Map();
  const name = h('bdi');
  const row = h('tr', {}, h('th', { scope: 'row' }, name), levels.map(({ level }) => {
    const button = h('button', { type: 'button', class: 'cell', tabindex: -1, onclick: () => attempts(rows.get(student.id).student, level) });
    cells.set(level, button);
    return h('td', {}, button);
  }), h('td', {}, h('button', { type: 'button', class: 'quiet remove', onclick: () => remove(rows.get(student.id).student) }, '✕')));
  const entry = { row, cells, name };
  rows.set(student.id, entry);
  $('tbody', table).append(row);
  if (!$('.cell[tabindex="0"]', table)) row.querySelector('.cell')?.setAttribute('tabindex', 0);
  return entry;
}

// update changes what is different and nothing else, so that the focus stays where it is.
function update(entry, student) {
  entry.student = student;
  const name = nameOf(student);
  if (entry.name.textContent !== name) {
    entry.name.textContent = name;
    $('.remove', entry.row).setAttribute('aria-label', t('teach.remove', name));
  }
  const done = new Map(student.levels.map((level) => [level.level, level]));
  for (const [level, button] of entry.cells) {
    const progress = done.get(level);
    const state = levelState(progress?.bestResult);
    const tries = progress?.attempts ?? 0;
    const seen = `${state} ${tries}`;
    if (button.dataset.seen === seen) continue;
    if (button.dataset.seen) flash(button);
    button.dataset.seen = seen;
    button.dataset.state = state;
    button.textContent = tries > 0 ? number(tries) : '';
    button.setAttribute('aria-label', t('teach.cell', name, number(level), t('puzzle.state_' + state), number(tries)));
  }
}

function flash(button) {
  button.classList.remove('fresh');
  void button.offsetWidth; // so that the animation begins again
  button.classList.add('fresh');
}

// One stop for Tab, arrows within: a class of thirty would be hundreds of stops.
table.addEventListener('keydown', (event) => {
  const cell = event.target.closest('.cell');
  const toward = page.dir === 'rtl' ? { ArrowLeft: 1, ArrowRight: -1 } : { ArrowLeft: -1, ArrowRight: 1 };
  const across = toward[event.key] ?? 0;
  const down = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
  if (!cell || (!across && !down)) return;
  event.preventDefault();
  const lines = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll('.cell')]);
  const y = lines.findIndex((line) => line.includes(cell));
  const x = lines[y].indexOf(cell);
  const to = lines[y + down]?.[x + across];
  if (!to) return;
  cell.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
});

const dialog = $('#attempts');
$('#close').addEventListener('click', () => dialog.close());

async function attempts(student, level) {
  const list = $('#attempt-list');
  $('#attempts-title').textContent = t('teach.attempt_of', nameOf(student), (await titles).get(section.script) ?? section.script, number(level));
  list.replaceChildren(h('p', {}, t('common.loading')));
  dialog.showModal();
  try {
    const found = await get(`/api/attempts?script=${encodeURIComponent(section.script)}&level=${level}&student=${student.id}`);
    list.replaceChildren(...(found.attempts.length === 0 ? [h('p', {}, t('teach.no_attempts'))] : found.attempts.map(line)));
    list.querySelector('a')?.focus();
  } catch (e) {
    list.replaceChildren(h('p', { class: 'problem' }, reason(e)));
  }
}

const line = (attempt) => h('a', { class: 'attempt', href: `/teach/attempt/${attempt.activity}?section=${page.section}` },
  h('span', { class: 'dot', 'data-state': levelState(attempt.result) }),
  h('span', {}, t('puzzle.state_' + levelState(attempt.result))),
  h('span', { class: 'quiet' }, t('puzzle.blocks_used', number(attempt.lines))),
  h('time', { class: 'quiet', datetime: attempt.createdAt }, new Date(attempt.createdAt).toLocaleTimeString(page.locale)));

async function remove(student) {
  if (!confirm(t('teach.remove_confirm', nameOf(student)))) return;
  try {
    await write('DELETE', `/api/sections/${page.section}/students/${student.id}`);
    rows.get(student.id)?.row.remove();
    rows.delete(student.id);
  } catch (e) {
    $('#problem').textContent = reason(e);
  }
}
