// Dance Party: blocks say what the dancers do on which beat.
import { t } from './lib/page.js';
import { inject, Blockly, javascript } from './lib/blocks.js';
import { reason } from './lib/ui.js';
import { byId, show } from './maker/dom.js';
import { tell } from './maker/say.js';
import { Sandbox } from './maker/sandbox.js';
import { Beat, EFFECTS } from './maker/beat.js';
import { Stage } from './maker/stage.js';
import { Project } from './maker/project.js';
import { filesPanel, isPicture } from './maker/files.js';
import { defineDanceBlocks, danceCode, danceToolbox, firstDance } from './maker/danceblocks.js';

const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
const stage = new Stage(byId('floor'), calm);
const beat = new Beat(onBeat);
const POSE_MS = 200;
let posing = 0;
let workspace;
let sandbox = null;
let every = [];
let after = [];
let picture = '';
let mySound = '';

const project = new Project({
  kind: 'dance',
  untitled: 'dance.new',
  source: () => ({ blocks: Blockly.serialization.workspaces.save(workspace), picture, sound: mySound }),
  load(source) {
    const { blocks, picture: pictureName = '', sound = '' } = source ?? { blocks: firstDance() };
    picture = pictureName;
    mySound = sound;
    Blockly.serialization.workspaces.load(blocks ?? {}, workspace, { recordUndo: false });
    goToBlocks();
    loadPicture();
  },
});

async function main() {
  if (project.onlyRun) byId('maker').classList.add('only-run');
  defineDanceBlocks(Blockly, javascript);
  workspace = await inject(byId('blocks'), danceToolbox(), { readOnly: !project.mine });
  await project.start();
  // Blockly tells of its own loading a little later; only what the person does is a change.
  workspace.addChangeListener((event) => {
    if (event.isUiEvent || event.type === Blockly.Events.FINISHED_LOADING || !event.recordUndo) return;
    project.changed();
    clearTimeout(posing);
    posing = setTimeout(pose, POSE_MS);
  });
  filesPanel(project, offerFiles);
  byId('run').addEventListener('click', run);
  byId('stop').addEventListener('click', stop);
  byId('sound').addEventListener('change', (event) => beat.mute(!event.target.checked));
  byId('picture').addEventListener('change', (event) => {
    picture = event.target.value;
    loadPicture();
    project.changed();
  });
  byId('my-sound').addEventListener('change', (event) => {
    mySound = event.target.value;
    project.changed();
  });
  document.addEventListener('visibilitychange', () => document.hidden && stop());
  show(byId('calm'), calm);
  show(byId('extras'), project.mine);
  pose();
  byId('maker').inert = false; // from now on a click does what it says
}

// goToBlocks begins where the blocks do: at the top, on the side on which the language begins.
function goToBlocks() {
  const content = workspace.getMetricsManager().getContentMetrics();
  const view = workspace.getMetricsManager().getViewMetrics();
  const margin = 24;
  const left = workspace.RTL ? content.left + content.width + margin - view.width : content.left - margin;
  workspace.scroll(-left, margin - content.top);
}

// offerFiles fills the two choices of the project's files; without a choice the first one is taken.
function offerFiles(files) {
  const offer = (id, names, chosen) => {
    byId(id).replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
    show(byId(`${id}-row`.replace('my-', '')), names.length > 0);
    return names.includes(chosen) ? chosen : names[0] ?? '';
  };
  const pictures = files.filter(isPicture).map((file) => file.name);
  const sounds = files.filter((file) => !isPicture(file)).map((file) => file.name);
  picture = offer('picture', pictures, picture);
  mySound = offer('my-sound', sounds, mySound);
  loadPicture();
}

function loadPicture() {
  stage.picture = null;
  if (!picture || !project.uuid) return;
  const image = new Image();
  image.onload = () => {
    stage.picture = image;
    if (!sandbox) pose();
  };
  image.src = project.fileURL(picture);
}

function run() {
  clearTimeout(posing);
  stage.reset();
  every = [];
  after = [];
  show(byId('problem'), false);
  sandbox = new Sandbox({ functions: danceFunctions(), onError: problem });
  sandbox.start(danceCode(workspace, javascript));
  beat.mute(!byId('sound').checked);
  beat.start();
  show(byId('run'), false);
  show(byId('stop'), true);
  byId('stop').focus();
  requestAnimationFrame(frame);
}

function stop() {
  if (!sandbox) return;
  sandbox.stop();
  sandbox = null;
  beat.stop();
  pose();
  const hadFocus = document.activeElement === byId('stop');
  show(byId('stop'), false);
  show(byId('run'), true);
  if (hadFocus) byId('run').focus();
  byId('beat').textContent = '';
}

// pose shows the stage while nothing runs: what the start of the dance puts there, silently.
function pose() {
  if (sandbox) return;
  stage.reset();
  const nothing = () => {};
  const quiet = { everyBeats: nothing, afterBeats: nothing, sound: nothing, tempo: nothing, music: nothing };
  const start = new Sandbox({ functions: { ...danceFunctions(), ...quiet }, onError: nothing });
  start.start(danceCode(workspace, javascript));
  setTimeout(() => {
    start.stop();
    if (!sandbox) stage.draw(1, 0.25);
  }, POSE_MS);
}

function frame() {
  if (!sandbox) return;
  stage.draw(beat.beat, beat.phase());
  requestAnimationFrame(frame);
}

function onBeat(n) {
  byId('beat').textContent = t('dance.beatNow', n);
  for (const { beats, callback } of every) if (n % beats === 0) callback.call();
  for (const { beats, callback } of after) if (n === beats + 1) callback.call();
}

function danceFunctions() {
  return {
    whenStarts: (callback) => callback.call(),
    everyBeats: (beats, callback) => void every.push({ beats, callback }),
    afterBeats: (beats, callback) => void after.push({ beats, callback }),
    beat: () => beat.beat,
    show: (who, place) => stage.show(who, place),
    hide: (who) => stage.hide(who),
    colour: (who, swatch) => stage.colour(who, swatch),
    size: (who, percent) => stage.size(who, percent),
    place: (who, x, y) => stage.place(who, x, y),
    once: (who, move) => stage.once(who, move, beat.beat),
    keep: (who, move) => stage.keep(who, move),
    background: (name) => stage.setBackground(name),
    tempo: (beats) => beat.setTempo(beats),
    music: (name) => beat.setStyle(name),
    sound: (name) => playSound(name),
  };
}

function playSound(name) {
  if (EFFECTS.includes(name)) beat.effect(name);
  else if (mySound && project.uuid) beat.play(project.fileURL(mySound)).catch(() => {});
}

function problem({ endless, message }) {
  byId('problem').textContent = endless ? t('project.endless') : message;
  show(byId('problem'), true);
  if (endless) stop();
}

main().catch((error) => tell(t('project.failed', reason(error))));
