// Blockly in the page's language and our colours, and the way from blocks to a program.
import * as Blockly from 'blockly/core';
import * as javascript from 'blockly/javascript';
import { media, texts, locales } from 'blockly-files';
import { page } from './page.js';
import { call } from './api.js';

export { Blockly, javascript };

const here = (path) => new URL(path, import.meta.url).href;

let loaded;
// load fetches Blockly's own texts, once. Without them Blockly still works, if the server is away.
export function load() {
  loaded ??= call(here(texts + (locales.includes(page.blockly) ? page.blockly : 'en') + '.json'))
    .then((messages) => Blockly.setLocale(messages), (e) => console.warn('blocks: no texts:', e));
  return loaded;
}

const theme = Blockly.Theme.defineTheme('school', {
  name: 'school',
  base: Blockly.Themes.Zelos,
  startHats: true,
  fontStyle: { family: 'inherit', weight: '600', size: 12 },
  componentStyles: {
    workspaceBackgroundColour: '#fbfaff',
    toolboxBackgroundColour: '#f1effb',
    flyoutBackgroundColour: '#f1effb',
    flyoutForegroundColour: '#2a2350',
    flyoutOpacity: 1,
    scrollbarColour: '#b9b3d9',
  },
});

// inject puts a workspace into an element. toolbox is Blockly's JSON, or null for none.
export async function inject(element, toolbox, options = {}) {
  await load();
  const workspace = Blockly.inject(element, {
    toolbox: toolbox ?? undefined,
    theme,
    renderer: 'zelos',
    rtl: page.dir === 'rtl',
    media: here(media),
    trashcan: Boolean(toolbox),
    // A trashcan that can be looked into lays an unseen scrollbar over the first blocks of the toolbox.
    maxTrashcanContents: 0,
    zoom: { controls: true, wheel: false, pinch: true, startScale: 0.85, minScale: 0.4, maxScale: 1.6 },
    move: { scrollbars: true, drag: true, wheel: true },
    ...options,
  });
  // The page's layout, not only the window, decides how large the workspace is.
  new ResizeObserver(() => Blockly.svgResize(workspace)).observe(element);
  return workspace;
}

// text is the program as it is kept; restore is the way back. A text that is no program leaves the workspace empty.
export const text = (workspace) => JSON.stringify(Blockly.serialization.workspaces.save(workspace));

export function restore(workspace, program) {
  try {
    Blockly.serialization.workspaces.load(typeof program === 'string' ? JSON.parse(program) : program, workspace);
    return true;
  } catch (e) {
    console.warn('blocks: can not show this program:', e);
    workspace.clear();
    return false;
  }
}
