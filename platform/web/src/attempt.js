// One attempt of a student: the program as it was, and what the teacher says to it.
import { number, page, t, time } from './lib/page.js';
import { get } from './lib/api.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, h, reason, saved, submit } from './lib/ui.js';
import { inject, restore } from './lib/blocks.js';
import { define } from './lib/puzzleblocks.js';
import { courseTitles, levelState, nameOf } from './lib/words.js';

const section = new URLSearchParams(location.search).get('section');
$('#back').href = section ? `/teach/${section}` : '/teach';
saved($('#saved'));
show().catch((e) => { $('#problem').textContent = reason(e); });

async function show() {
  const [attempt, titles] = await Promise.all([get(`/api/attempts/${page.activity}`), courseTitles()]);
  const state = levelState(attempt.result);
  $('#title').textContent = t('teach.attempt_of', nameOf(attempt.student), titles.get(attempt.script) ?? attempt.script, number(attempt.level));
  document.title = $('#title').textContent;
  $('#result').replaceChildren(h('span', { class: 'dot', 'data-state': state }), ' ', t('puzzle.state_' + state));
  $('#facts').replaceChildren(...[
    t('puzzle.blocks_used', number(attempt.lines)), t('teach.attempt_time', number(Math.round(attempt.timeMs / 1000))), time(attempt.createdAt),
  ].map((text) => h('li', {}, text)));
  $('form').hidden = false;
  submit($('form'), (fields) => send(attempt, fields));
  showOthers(attempt);
  await showProgram(attempt.program);
}

async function showProgram(program) {
  define();
  const place = $('#program');
  const workspace = await inject(place, null, { readOnly: true, trashcan: false });
  if (restore(workspace, program)) {
    workspace.scrollCenter();
    return;
  }
  // Not a program of blocks: what was sent is shown as it is.
  workspace.dispose();
  place.replaceChildren(h('pre', { dir: 'ltr' }, program));
}

async function showOthers({ activity, student, script, level }) {
  const { attempts } = await get(`/api/attempts?script=${encodeURIComponent(script)}&level=${level}&student=${student.id}`);
  $('#others').replaceChildren(...attempts.map((other) => h('li', {}, h('a', {
    class: 'attempt', href: `/teach/attempt/${other.activity}${location.search}`, 'aria-current': other.activity === activity && 'page',
  }, h('span', { class: 'dot', 'data-state': levelState(other.result) }), h('time', { datetime: other.createdAt }, time(other.createdAt))))));
}

async function send({ activity, student, script, level }, { comment, rating }) {
  await write('POST', '/api/feedback', { student: student.id, script, level, activity, comment: comment.trim(), rating });
  $('form').elements.comment.value = '';
}
