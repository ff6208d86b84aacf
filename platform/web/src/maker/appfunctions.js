// What a program in App Lab can do: elements in the preview, records and values on the server, sounds.
// A program's elements are never in the page's own namespace: it knows them by its own ids only.
import { t } from '../lib/page.js';
import { h } from '../lib/ui.js';
import { StudentError } from './sandbox.js';
import { Beat, EFFECTS } from './beat.js';

// CALLS is the list that the help and the editor's completion show.
export const CALLS = [
  'button("id", "text")', 'label("id", "text")', 'input("id", "text")', 'image("id", "picture.png")', 'write("text")',
  'onEvent("id", "click", function (event) {\n\n})', 'setText("id", "text")', 'getText("id")', 'getNumber("id")',
  'setProperty("id", "color", "blue")', 'setImage("id", "picture.png")', 'hideElement("id")', 'showElement("id")', 'deleteElement("id")',
  'createRecord("table", {name: "value"})', 'readRecords("table", {}, function (records) {\n\n})',
  'updateRecord("table", record)', 'deleteRecord("table", record)',
  'setKeyValue("key", "value")', 'getKeyValue("key")', 'playSound("bell")', 'randomNumber(1, 6)', 'console.log("text")',
];
const callOf = (name) => CALLS.find((call) => call.startsWith(`${name}(`)).split('\n')[0];

const PROPERTIES = {
  color: 'color', background: 'background-color', size: 'font-size', width: 'width', height: 'height', align: 'text-align', border: 'border-color',
};
const EVENTS = ['click', 'change', 'input', 'keydown'];
const MAX_ELEMENTS = 500;

// screenFunctions draw into pane. files() are the project's files, fileURL their addresses, log shows a line,
// listens() is called when the program waits for an event.
export function screenFunctions({ pane, files, fileURL, log, listens }) {
  const elements = new Map();
  const beat = new Beat(() => {});

  function add(id, element) {
    if (elements.size >= MAX_ELEMENTS && !elements.has(id)) throw new StudentError(`> ${MAX_ELEMENTS}`);
    const old = elements.get(id);
    if (old) old.replaceWith(element);
    else pane.append(element);
    elements.set(id, element);
  }

  function find(id) {
    const element = elements.get(String(id));
    if (!element) throw new StudentError(t('applab.noId', id));
    return element;
  }

  function address(name, picture) {
    const file = files().find((f) => f.name === String(name));
    if (!file || file.contentType.startsWith('image/') !== picture) throw new StudentError(t('applab.noFile', name));
    return fileURL(file.name);
  }

  const isField = (element) => element instanceof HTMLInputElement;
  const text = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? ''));
  const id = (value) => {
    if (value === undefined || value === '') throw new StudentError(t('applab.needs', 'button, label, input, image', '"id"'));
    return String(value);
  };
  const write = (value) => void pane.append(h('p', {}, text(value)));

  return {
    button: (name, label) => add(id(name), h('button', { type: 'button' }, text(label))),
    label: (name, words) => add(id(name), h('div', { class: 'label' }, text(words))),
    input: (name, hint) => add(id(name), h('input', { placeholder: text(hint), 'aria-label': text(hint) || id(name), autocomplete: 'off' })),
    image: (name, file) => add(id(name), h('img', { src: address(file, true), alt: text(file) })),
    setImage: (name, file) => void find(name).setAttribute('src', address(file, true)),
    write: (value) => {
      if (pane.childElementCount > MAX_ELEMENTS) pane.firstElementChild.remove();
      write(value);
    },
    setText(name, value) {
      const element = find(name);
      if (isField(element)) element.value = text(value);
      else element.textContent = text(value);
    },
    getText: (name) => (isField(find(name)) ? find(name).value : find(name).textContent),
    getNumber: (name) => Number(isField(find(name)) ? find(name).value : find(name).textContent),
    setProperty(name, property, value) {
      if (!Object.hasOwn(PROPERTIES, property)) throw new StudentError(t('applab.needs', 'setProperty', Object.keys(PROPERTIES).join(', ')));
      const unit = typeof value === 'number' ? 'px' : '';
      find(name).style.setProperty(PROPERTIES[property], text(value) + unit);
    },
    hideElement: (name) => void (find(name).hidden = true),
    showElement: (name) => void (find(name).hidden = false),
    deleteElement(name) {
      find(name).remove();
      elements.delete(String(name));
    },
    onEvent(name, type, callback) {
      if (!EVENTS.includes(type) || typeof callback?.call !== 'function') throw new StudentError(t('applab.needs', 'onEvent', `"id", ${EVENTS.join(' | ')}, function`));
      const element = find(name);
      listens();
      element.addEventListener(type, (event) => callback.call({
        id: String(name), type, value: isField(element) ? element.value : element.textContent, ...(event.key && { key: event.key }),
      }));
    },
    playSound(name) {
      if (EFFECTS.includes(name)) beat.effect(name);
      else beat.play(address(name, false)).catch(() => log(t('applab.noFile', name)));
    },
    randomNumber: (low, high) => Math.floor(Math.random() * (high - low + 1)) + low,
    'console.log': (...values) => log(values.map(text).join(' ')),
  };
}

// dataFunctions keep what the app stores on the server. They wait for the server's answer; a program that
// gives a function as last argument goes on, and the function gets the answer.
export function dataFunctions(data) {
  const table = (name, call) => {
    if (typeof name !== 'string' || name.trim() === '' || name.length > 60) throw new StudentError(t('applab.needs', call, callOf(call)));
    return name;
  };
  const record = (value, call, needsId) => {
    const isRecord = value && typeof value === 'object' && !Array.isArray(value) && (!needsId || Number.isInteger(value.id));
    if (!isRecord) throw new StudentError(t('applab.needs', call, needsId ? 'record.id' : callOf(call)));
    return value;
  };
  const key = (name, call) => {
    if (typeof name !== 'string' || name === '' || name.length > 120) throw new StudentError(t('applab.needs', call, callOf(call)));
    return name;
  };
  return {
    createRecord: async (name, value) => data.create(table(name, 'createRecord'), record(value, 'createRecord')),
    readRecords: async (name, filter) => {
      const wanted = Object.entries(filter ?? {});
      const records = await data.read(table(name, 'readRecords'));
      return records.filter((r) => wanted.every(([k, v]) => r[k] === v));
    },
    updateRecord: async (name, value) => {
      const updated = await data.update(table(name, 'updateRecord'), record(value, 'updateRecord', true));
      return { several: [updated, updated !== null] };
    },
    deleteRecord: async (name, value) => data.remove(table(name, 'deleteRecord'), record(value, 'deleteRecord', true).id),
    setKeyValue: async (name, value) => data.setPair(key(name, 'setKeyValue'), value ?? null),
    getKeyValue: async (name) => data.pair(key(name, 'getKeyValue')),
  };
}
