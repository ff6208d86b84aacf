// What the writer does, second by second.
import uPlot from 'uplot';
import { number, t } from './lib/page.js';
import { byId, show } from './maker/dom.js';

const KEPT_SECONDS = 300;
const SHOWN_SECONDS = 60; // at least
const EVERY_MS = 1000;
const NAME = 'admin-token';
const COLOURS = ['#2f6fde', '#2e9e5b', '#d98a1f', '#c8453b'];

const series = { time: [], rate: [], statements: [], p50: [], p95: [], p99: [], max: [] };
let charts = null;

async function poll() {
  const began = performance.now();
  try {
    const headers = sessionStorage.getItem(NAME) ? { 'Admin-Token': sessionStorage.getItem(NAME) } : {};
    const answer = await fetch('/api/admin', { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (answer.status === 401 || answer.status === 403) return askForToken();
    if (!answer.ok) throw new Error(answer.status);
    draw(await answer.json());
    show(byId('lost'), false);
  } catch {
    show(byId('lost'), true);
  }
  return setTimeout(poll, Math.max(100, EVERY_MS - (performance.now() - began)));
}

function askForToken() {
  sessionStorage.removeItem(NAME);
  show(byId('figures'), false);
  show(byId('lost'), false);
  show(byId('token-form'), true);
  byId('token').focus();
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(NAME, byId('token').value);
  byId('token').value = '';
  show(byId('token-form'), false);
  poll();
});

function draw(now) {
  show(byId('figures'), true);
  const { writer, writes, statements, latencyMs, byEpoch, held, retries, errors } = now;
  const tiles = {
    server: writer.error ? `${writer.server}: ${writer.error}` : writer.server, version: writer.version, epoch: number(writer.epoch), 'read-only': t(writer.readOnly ? 'admin.yes' : 'admin.no'),
    held: number(held), rate: round(writes.perSecond), statements: round(statements.perSecond), total: number(writes.total),
    retries: number(retries), errors: number(errors),
  };
  for (const [id, text] of Object.entries(tiles)) byId(id).textContent = text;
  byId('server').parentElement.classList.toggle('warn', Boolean(writer.error));
  byId('read-only').parentElement.classList.toggle('warn', Boolean(writer.readOnly));
  byId('held').parentElement.classList.toggle('warn', held > 0);
  const values = { time: Date.now() / 1000, rate: writes.perSecond, statements: statements.perSecond, ...latencyMs };
  for (const [name, list] of Object.entries(series)) {
    list.push(values[name] ?? null);
    if (list.length > KEPT_SECONDS) list.shift();
  }
  charts ??= [chart('rate-chart', ['rate', 'statements'], [t('admin.rate'), t('admin.statements')]), chart('latency-chart', ['p50', 'p95', 'p99', 'max'])];
  for (const one of charts) one.update();
  epochs(byEpoch ?? []);
}

const round = (value) => number(Math.round(value * 10) / 10);

function chart(id, names, labels = names) {
  const parent = byId(id);
  const size = () => ({ width: parent.clientWidth, height: 220 });
  const lines = names.map((name, i) => ({ label: labels[i], stroke: COLOURS[i], width: 2, points: { show: false } }));
  const ink = getComputedStyle(parent).color;
  const axis = { stroke: ink, grid: { stroke: '#8885', width: 1 }, ticks: { stroke: '#8885' } };
  const scales = {
    x: { range: (_, first, last) => [Math.min(first, last - SHOWN_SECONDS), last] },
    y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] },
  };
  const plot = new uPlot({ ...size(), series: [{}, ...lines], axes: [axis, axis], scales }, [[]], parent);
  new ResizeObserver(() => plot.setSize(size())).observe(parent);
  return {
    update() {
      plot.setData([series.time, ...names.map((name) => series[name])]);
      if (plot.cursor.left < 0) plot.setLegend({ idx: series.time.length - 1 }); // nobody points at another moment
    },
  };
}

// epochs shows whatever figures the server gives for each epoch.
function epochs(rows) {
  const flat = rows.map((row) => Object.fromEntries(Object.entries(row).flatMap(([key, value]) => (
    value && typeof value === 'object' ? Object.entries(value) : [[key, value]]))));
  const columns = [...new Set(flat.flatMap(Object.keys))];
  const line = (cells, tag) => {
    const tr = document.createElement('tr');
    for (const cell of cells) tr.append(Object.assign(document.createElement(tag), { textContent: cell }));
    return tr;
  };
  byId('epoch-head').replaceChildren(line(columns, 'th'));
  byId('epoch-rows').replaceChildren(...flat.map((row) => line(columns.map((c) => (typeof row[c] === 'number' ? round(row[c]) : row[c] ?? '')), 'td')));
}

poll();
