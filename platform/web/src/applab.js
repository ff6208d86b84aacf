// App Lab: a program in JavaScript with a screen, data and libraries.
import { t } from './lib/page.js';
import { h, reason } from './lib/ui.js';
import { byId, show } from './maker/dom.js';
import { tell } from './maker/say.js';
import { Sandbox } from './maker/sandbox.js';
import { Project } from './maker/project.js';
import { AppData } from './maker/appdata.js';
import { CALLS, dataFunctions, screenFunctions } from './maker/appfunctions.js';
import { DataBrowser } from './maker/databrowser.js';
import { LibraryPanel } from './maker/librarypanel.js';
import { filesPanel } from './maker/files.js';
import { editor } from './maker/editor.js';
import { tabs } from './maker/tabs.js';

const MAX_LINES = 200; // of messages: the newest stay

let files = [];
let sandbox = null;
let code;
let browser;
let refreshing = 0;

const project = new Project({
  kind: 'applab',
  untitled: 'applab.new',
  source: () => ({ code: code.text(), libraries: libraries.imports }),
  load(source) {
    code.setText(source?.code ?? firstApp());
    libraries.set(source?.libraries ?? []);
  },
});
const data = new AppData(project, dataChanged);
const libraries = new LibraryPanel(project, () => code.text());

async function main() {
  byId('maker').classList.toggle('only-run', project.onlyRun);
  byId('maker').classList.toggle('visitor', !project.mine);
  code = editor({ parent: byId('editor'), calls: CALLS, readOnly: !project.mine, label: t('applab.program'), changed: () => project.changed() });
  await project.start();
  files = await project.files().catch(() => []);
  filesPanel(project, (list) => (files = list));
  browser = new DataBrowser(data);
  tabs('tabs', (name) => {
    if (name === 'data') browser.refresh();
    if (name === 'libraries') libraries.opened();
  });
  for (const name of ['data', 'libraries', 'files']) show(byId(`tab-${name}`), project.mine);
  byId('functions').replaceChildren(...CALLS.map(helpLine));
  byId('run').addEventListener('click', run);
  byId('stop').addEventListener('click', stop);
  byId('maker').inert = false; // from now on a click does what it says
  if (project.onlyRun) run();
}

function helpLine(call) {
  const [first] = call.split('\n');
  const text = h('code', {}, first.endsWith('{') ? `${first} … })` : first);
  if (!project.mine) return h('li', {}, text);
  return h('li', {}, h('button', { type: 'button', class: 'call', title: t('applab.insert', call.split('(')[0]), onclick: () => code.insert(call) }, text));
}

const firstApp = () => `label("title", ${JSON.stringify(t('applab.new'))});
button("count", "0");

onEvent("count", "click", function () {
  setText("count", getNumber("count") + 1);
});
`;

async function run() {
  stop();
  byId('app').replaceChildren();
  byId('messages').replaceChildren();
  show(byId('messages-box'), false);
  let loaded;
  try {
    loaded = await libraries.load();
  } catch (error) {
    tell(t('project.failed', reason(error)));
    return;
  }
  // What a run puts on the screen goes into a pane of its own: a program that was stopped can't reach the next one's.
  const pane = h('div', { class: 'pane' });
  byId('app').replaceChildren(pane);
  let listening = false;
  const listens = () => (listening = true);
  sandbox = new Sandbox({
    functions: screenFunctions({ pane, files: () => files, fileURL: (name) => project.fileURL(name), log, listens }),
    waiting: dataFunctions(data),
    libraries: loaded,
    onError: problem,
    onIdle: () => listening || stop(), // a program that waits for nothing has ended
    regexpWorker: byId('maker').dataset.regexp,
  });
  swap('run', 'stop');
  sandbox.start(code.text());
}

function stop() {
  sandbox?.stop();
  sandbox = null;
  swap('stop', 'run');
}

// swap shows one button in another's place; the keyboard stays there.
function swap(gone, come) {
  const focused = document.activeElement === byId(gone);
  show(byId(gone), false);
  show(byId(come), true);
  if (focused) byId(come).focus();
}

function log(text) {
  addMessage(h('li', { dir: 'auto' }, text));
}

function problem({ line, message, endless, dialect }) {
  const text = endless ? t('project.endless') : dialect ? t('applab.dialect') : message;
  const shown = line ? t('project.problem', line, text) : text;
  const place = line && !project.onlyRun ? h('button', { type: 'button', class: 'call', onclick: () => code.goTo(line) }, shown) : shown;
  addMessage(h('li', { class: 'error', dir: 'auto' }, place));
  if (sandbox?.stopped) stop();
}

function addMessage(item) {
  const list = byId('messages');
  show(byId('messages-box'), true);
  list.append(item);
  if (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
}

// dataChanged shows what the running app writes, but not more than twice a second.
function dataChanged() {
  if (byId('panel-data').hidden || refreshing) return;
  refreshing = setTimeout(() => {
    refreshing = 0;
    browser.refresh();
  }, 500);
}

main().catch((error) => tell(t('project.failed', reason(error))));
