// The blocks of Dance Party, their JavaScript, and the toolbox.
import 'blockly/blocks'; // numbers, repeat, if: Blockly's own
import { t } from '../lib/page.js';
import { DANCERS, PLACES, MOVE_NAMES, SWATCHES, BACKGROUNDS } from './stage.js';
import { EFFECTS, MUSIC } from './beat.js';

// Dark enough for white letters.
const COLOURS = { events: '#8a6a14', dancers: '#2f66a3', moves: '#8e3f9c', scene: '#1f7a58' };

const choice = (name, area, values) => ({ type: 'field_dropdown', name, options: values.map((v) => [t(`${area}.${v}`), v]) });
const who = () => choice('WHO', 'dance.dancer', ['all', ...DANCERS]);
const moves = (values) => choice('MOVE', 'dance.move', values);
const number = (name) => ({ type: 'input_value', name, check: 'Number' });
const count = (name, min, max, value) => ({ type: 'field_number', name, min, max, value, precision: 1 });

// A colour is shown as a picture, since not every tablet has these characters; they are for who listens.
function swatch([name, colour]) {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><rect width="20" height="20" rx="5" fill="${colour}" stroke="#fff" stroke-width="2"/></svg>`;
  return [{ src: `data:image/svg+xml,${encodeURIComponent(svg)}`, width: 20, height: 20, alt: name }, name];
}

// A text has {0}, {1} where Blockly's message has %1, %2.
const message = (key, n) => t(key, ...Array.from({ length: n }, (_, i) => `%${i + 1}`));

function statement(type, hue, args, extra = {}) {
  const key = `dance.block.${type}`;
  return { type: `dance_${type}`, message0: message(key, args.length), args0: args, colour: hue, previousStatement: null, nextStatement: null, inputsInline: true, ...extra };
}

function when(type, args) {
  return {
    type: `dance_${type}`, message0: message(`dance.block.${type}`, args.length), args0: args,
    message1: '%1', args1: [{ type: 'input_statement', name: 'DO' }], colour: COLOURS.events,
  };
}

const definitions = () => [
  when('start', []),
  when('every', [count('N', 1, 64, 4)]),
  when('after', [count('N', 1, 999, 8)]),
  statement('show', COLOURS.dancers, [who(), choice('PLACE', 'dance.place', Object.keys(PLACES))]),
  statement('hide', COLOURS.dancers, [who()]),
  statement('colour', COLOURS.dancers, [who(), { type: 'field_dropdown', name: 'COLOUR', options: [...Object.entries(SWATCHES).map(swatch), ['🎲', '🎲']] }]),
  statement('size', COLOURS.dancers, [who(), number('SIZE')]),
  statement('place', COLOURS.dancers, [who(), number('X'), number('Y')]),
  statement('once', COLOURS.moves, [who(), moves([...MOVE_NAMES.slice(1), 'any'])]),
  statement('keep', COLOURS.moves, [who(), moves([...MOVE_NAMES, 'any'])]),
  statement('background', COLOURS.scene, [choice('NAME', 'dance.background', BACKGROUNDS)]),
  statement('tempo', COLOURS.scene, [number('TEMPO')]),
  statement('music', COLOURS.scene, [choice('NAME', 'dance.music', MUSIC)]),
  statement('sound', COLOURS.scene, [choice('NAME', 'dance.sound', [...EFFECTS, 'mine'])]),
  { type: 'dance_beat', message0: t('dance.block.beat'), output: 'Number', colour: COLOURS.scene },
];

const HATS = ['dance_start', 'dance_every', 'dance_after'];

export function defineDanceBlocks(Blockly, javascript) {
  Blockly.common.defineBlocksWithJsonArray(definitions());
  const NONE = javascript.Order.NONE;
  const generator = javascript.javascriptGenerator;
  const field = (block, name) => JSON.stringify(String(block.getFieldValue(name)));
  const value = (block, name, otherwise) => generator.valueToCode(block, name, NONE) || otherwise;
  const code = {
    start: (b) => `whenStarts(function () {\n${generator.statementToCode(b, 'DO')}});\n`,
    every: (b) => `everyBeats(${Number(b.getFieldValue('N'))}, function () {\n${generator.statementToCode(b, 'DO')}});\n`,
    after: (b) => `afterBeats(${Number(b.getFieldValue('N'))}, function () {\n${generator.statementToCode(b, 'DO')}});\n`,
    show: (b) => `show(${field(b, 'WHO')}, ${field(b, 'PLACE')});\n`,
    hide: (b) => `hide(${field(b, 'WHO')});\n`,
    colour: (b) => `colour(${field(b, 'WHO')}, ${field(b, 'COLOUR')});\n`,
    size: (b) => `size(${field(b, 'WHO')}, ${value(b, 'SIZE', 100)});\n`,
    place: (b) => `place(${field(b, 'WHO')}, ${value(b, 'X', 200)}, ${value(b, 'Y', 270)});\n`,
    once: (b) => `once(${field(b, 'WHO')}, ${field(b, 'MOVE')});\n`,
    keep: (b) => `keep(${field(b, 'WHO')}, ${field(b, 'MOVE')});\n`,
    background: (b) => `background(${field(b, 'NAME')});\n`,
    tempo: (b) => `tempo(${value(b, 'TEMPO', 110)});\n`,
    music: (b) => `music(${field(b, 'NAME')});\n`,
    sound: (b) => `sound(${field(b, 'NAME')});\n`,
    beat: () => ['beat()', javascript.Order.FUNCTION_CALL],
  };
  for (const [name, make] of Object.entries(code)) generator.forBlock[`dance_${name}`] = make;
  generator.addReservedWords(`whenStarts,everyBeats,afterBeats,${Object.keys(code).join(',')}`);
}

// danceCode is the program of the blocks that hang on an event; loose blocks do nothing.
export function danceCode(workspace, javascript) {
  const generator = javascript.javascriptGenerator;
  generator.init(workspace);
  const body = workspace.getTopBlocks(true)
    .filter((block) => HATS.includes(block.type) && block.isEnabled())
    .map((block) => generator.blockToCode(block))
    .join('\n');
  return generator.finish(body);
}

const block = (type, inputs = {}, fields = {}) => ({
  kind: 'block', type, fields,
  inputs: Object.fromEntries(Object.entries(inputs).map(([name, n]) => [name, { shadow: { type: 'math_number', fields: { NUM: n } } }])),
});
const category = (name, colour, contents) => ({ kind: 'category', name: t(name), colour, contents });

export const danceToolbox = () => ({
  kind: 'categoryToolbox',
  contents: [
    category('dance.events', COLOURS.events, HATS.map((type) => block(type))),
    category('dance.dancers', COLOURS.dancers, [
      block('dance_show'), block('dance_hide'), block('dance_colour'), block('dance_size', { SIZE: 150 }), block('dance_place', { X: 200, Y: 270 }),
    ]),
    category('dance.moves', COLOURS.moves, [block('dance_keep', {}, { MOVE: 'slide' }), block('dance_once')]),
    category('dance.scene', COLOURS.scene, [
      block('dance_background', {}, { NAME: 'disco' }), block('dance_music'), block('dance_tempo', { TEMPO: 120 }), block('dance_sound'), block('dance_beat'),
    ]),
    category('dance.loops', '#3c7a2e', [block('controls_repeat_ext', { TIMES: 3 }), block('controls_if')]),
    category('dance.numbers', '#4b54a8', [
      block('math_number'), block('math_random_int', { FROM: 1, TO: 6 }), block('math_arithmetic', { A: 1, B: 1 }),
      block('math_modulo', { DIVIDEND: 8, DIVISOR: 2 }), block('logic_compare'), block('logic_operation'),
    ]),
  ],
});

// The dance of somebody who has just arrived: a few blocks that do something at once.
const chain = (...blocks) => blocks.reduceRight((next, b) => ({ ...b, ...(next && { next: { block: next } }) }), null);
const simple = (type, fields) => ({ type: `dance_${type}`, fields });
export const firstDance = () => ({
  blocks: {
    languageVersion: 0,
    blocks: [
      { type: 'dance_start', x: 30, y: 30, inputs: { DO: { block: chain(
        simple('background', { NAME: 'disco' }),
        simple('show', { WHO: 'cat', PLACE: 'left' }),
        simple('show', { WHO: 'robot', PLACE: 'right' }),
        simple('keep', { WHO: 'cat', MOVE: 'slide' }),
      ) } } },
      { type: 'dance_every', x: 30, y: 470, fields: { N: 4 }, inputs: { DO: { block: simple('once', { WHO: 'all', MOVE: 'any' }) } } },
    ],
  },
});
