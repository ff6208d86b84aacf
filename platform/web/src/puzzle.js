// The page of a puzzle: blocks on one side, the maze or the drawing board on the other.
import { number, page, t } from './lib/page.js';
import { get } from './lib/api.js';
import { write } from './lib/outbox.js';
import { expectUser, forget } from './lib/session.js';
import { $, h, saved } from './lib/ui.js';
import { Blockly, inject, restore, text } from './lib/blocks.js';
import { code, count, define, emptyProgram, toolbox } from './lib/puzzleblocks.js';
import { Program, ProgramError, TooLong } from './lib/run.js';
import { Maze } from './lib/maze.js';
import { Turtle } from './lib/turtle.js';

const { script, level, levels, definition, kind } = page;
const stage = definition.type === 'draw' ? new Turtle(definition) : new Maze({ grid: ['SG'], ...definition });
const draft = `draft:${script}/${level}`;

const buttons = {
  run: $('#run'), step: $('#step'), reset: $('#reset'), next: $('#next'),
};
const says = $('#says');
const opened = Date.now();

// Dance Party and App Lab have pages of their own.
if (definition.type === 'dance' || definition.type === 'applab') location.replace('/' + definition.type);

$('#stage').append(stage.element);
if (level < levels) {
  buttons.next.href = `/s/${script}/${level + 1}`;
} else {
  buttons.next.href = kind === 'hoc' ? `/hoc/finish/${script}` : '/me';
  buttons.next.textContent = t('puzzle.finish');
}
saved($('#saved'));
showProgress();

define();
const workspace = await inject($('#workspace'), toolbox(definition.blocks));
await begin();
workspace.addChangeListener((event) => {
  if (event.isUiEvent || event.type === Blockly.Events.FINISHED_LOADING) return;
  localStorage.setItem(draft, text(workspace));
  showCount();
});
showCount();
for (const button of [buttons.run, buttons.step, buttons.reset]) button.disabled = false;

// begin shows what the student had here before: on this device, or the last attempt made on another one.
async function begin() {
  const kept = localStorage.getItem(draft) ?? await lastAttempt();
  if (!(kept && restore(workspace, kept))) restore(workspace, definition.start ?? emptyProgram);
  workspace.clearUndo();
}

async function lastAttempt() {
  if (!page.user) return null;
  try {
    const { attempts } = await get(`/api/attempts?script=${encodeURIComponent(script)}&level=${level}`);
    const last = attempts.reduce((a, b) => (a && a.createdAt > b.createdAt ? a : b), null);
    return last && (await get(`/api/attempts/${last.activity}`)).program;
  } catch (e) {
    console.warn('no earlier attempt:', e);
    return null;
  }
}

function showCount() {
  const used = number(count(workspace));
  $('#count').textContent = t('puzzle.blocks_used', definition.ideal ? `${used} / ${number(definition.ideal)}` : used);
}

// The program that runs, or stands still between two steps. A step that is asked for while another one is
// still on its way is not lost: steps counts them.
let running = null;

buttons.run.addEventListener('click', () => {
  if (running?.stepping) {
    running.stepping = false;
    running.go();
  } else if (running) {
    running.program.stop();
    running.stopped = true;
    running.go();
  } else {
    start(false);
  }
});
buttons.step.addEventListener('click', () => {
  if (running?.stepping) {
    running.steps++;
    running.go();
  } else if (!running) {
    start(true);
  }
});
buttons.reset.addEventListener('click', () => {
  if (running) {
    running.stopped = true;
    running.program.stop();
    running.go();
  } else {
    clear();
  }
});

function clear() {
  stage.reset();
  workspace.highlightBlock(null);
  say('', '');
  buttons.next.hidden = true;
}

async function start(stepping) {
  clear();
  Blockly.hideChaff();
  if (count(workspace) === 0) {
    say('puzzle.empty', 'sad');
    return;
  }
  const run = { stepping, steps: 0, stopped: false, go: () => {} };
  running = run;
  showRunning();
  const outcome = await play(run);
  running = null;
  workspace.highlightBlock(null);
  showRunning();
  if (run.stopped) {
    stage.reset();
    return;
  }
  tell(outcome);
}

// play runs the program to its end and returns how it went.
async function play(run) {
  const api = stage.functions(() => run.program.stop());
  api.waiting.mark = async (id) => {
    workspace.highlightBlock(id);
    showRunning();
    if (run.stepping && run.steps === 0) await new Promise((done) => { run.go = done; });
    run.steps = Math.max(0, run.steps - 1);
  };
  try {
    run.program = new Program(code(workspace), api);
    await run.program.run();
    return { name: stage.result() };
  } catch (e) {
    if (e instanceof TooLong) return { name: 'too_long' };
    if (e instanceof ProgramError) return { name: 'program_error', detail: e.message };
    throw e;
  }
}

function showRunning() {
  const busy = Boolean(running) && !running.stepping;
  $('.label', buttons.run).textContent = t(busy ? 'puzzle.stop' : 'puzzle.run');
  buttons.run.classList.toggle('stop', busy);
  buttons.step.disabled = busy;
  $('#stage').classList.toggle('running', Boolean(running));
}

const messages = {
  wall: 'puzzle.hit_wall', not_there: 'puzzle.not_there', not_drawn: 'puzzle.not_drawn', too_long: 'puzzle.too_long',
};

function tell({ name, detail }) {
  const used = count(workspace);
  const solved = name === 'solved' || name === 'free';
  const best = name === 'solved' && (!definition.ideal || used <= definition.ideal);
  const result = name === 'free' ? 100 : best ? 30 : solved ? 20 : 0;
  record(result, used);
  if (!solved) {
    say(messages[name] ?? 'puzzle.program_error', 'sad', detail);
    return;
  }
  if (name === 'free') say('puzzle.solved', 'happy');
  else if (best) say('puzzle.solved_best', 'best');
  else say('puzzle.solved_more', 'happy', number(used), number(definition.ideal));
  buttons.next.hidden = false;
  buttons.next.focus();
}

function say(key, mood, ...args) {
  says.dataset.mood = mood;
  says.textContent = key && t(key, ...args);
}

// record keeps the attempt: it is on this device before the answer comes, and sent until the server has it.
async function record(result, lines) {
  mark(level, result);
  const run = {
    script, level, program: text(workspace), result, lines: Math.min(lines, 5000),
    timeMs: Math.min(Date.now() - opened, 86_400_000),
  };
  const attempt = async () => {
    await expectUser();
    if (kind === 'hoc') await startHour();
    return write('POST', '/api/run', run, { label: `${script} ${level}` });
  };
  try {
    await attempt();
  } catch (e) {
    if (e.code !== 'no-session') return; // the page says so
    // The session has come to its end. Nothing was written, so a new guest may carry it.
    forget();
    attempt().catch(() => {});
  }
}

// startHour counts the browser among those who do this Hour of Code, once. site.js notes the answer.
async function startHour() {
  const note = `hour:${script}`;
  if (localStorage.getItem(note)) return;
  localStorage.setItem(note, 'started');
  await write('POST', '/api/hoc/start', { script }).kept;
}

// The row of puzzles above, with what the student has done in each.
async function showProgress() {
  $('#levels').append(...Array.from({ length: levels }, (_, i) => h('li', {}, h('a', {
    class: 'dot', href: `/s/${script}/${i + 1}`, 'data-level': i + 1, 'aria-current': i + 1 === level && 'page',
  }, number(i + 1)))));
  for (let i = 1; i <= levels; i++) mark(i, null);
  if (!page.user) return;
  try {
    const progress = await get(`/api/progress?script=${encodeURIComponent(script)}`);
    for (const done of progress.levels) mark(done.level, done.bestResult);
  } catch (e) {
    console.warn('no progress:', e);
  }
}

function mark(n, result) {
  const dot = $(`#levels [data-level="${n}"]`);
  if (!dot) return;
  const best = Math.max(Number(dot.dataset.best ?? -1), result ?? -1);
  dot.dataset.best = best;
  const state = best < 0 ? 'none' : best < 20 ? 'tried' : best < 30 ? 'solved' : 'best';
  dot.dataset.state = state;
  dot.setAttribute('aria-label', `${t('puzzle.level_of', n, levels)}: ${t('puzzle.state_' + state)}`);
}
