// The blocks of puzzles: what they look like, and the JavaScript that they stand for. That JavaScript calls
// mark(id) before each statement, so that the page can show where the program is, or stop there.
import { t } from './page.js';
import { Blockly, javascript } from './blocks.js';

const { javascriptGenerator: generator } = javascript;
const colours = { start: '#d9480f', move: '#2f6fdb', loop: '#7a45c9', logic: '#1b7f5c', pen: '#b4307a' };

export const pens = {
  red: '#d62839', orange: '#f07f13', yellow: '#f2b705', green: '#2b9a5b', blue: '#2667d9', purple: '#7a45c9', black: '#221c3a',
};

// A text has {0} where Blockly has %1.
const message = (key) => t(key).replace(/\{(\d)\}/g, (mark, i) => `%${Number(i) + 1}`);
const statement = (key, colour, args0 = []) => ({
  message0: message(key), args0, colour, previousStatement: null, nextStatement: null, inputsInline: true,
});
const body = { message1: '%1', args1: [{ type: 'input_statement', name: 'DO' }] };
const whole = (name, value, min, max) => ({ type: 'field_number', name, value, min, max, precision: 1 });
const choice = (name, options) => ({ type: 'field_dropdown', name, options });
const swatch = (colour) => 'data:image/svg+xml,' + encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><circle cx="12" cy="12" r="10" fill="${colour}" stroke="#fff" stroke-width="2"/></svg>`);

// define makes the blocks known. Texts are in the page's language, so this waits until the page is there.
export function define() {
  const definitions = {
    when_run: { message0: t('puzzle.block_start'), colour: colours.start, nextStatement: null, hat: 'cap' },
    move: statement('puzzle.block_move', colours.move),
    left: statement('puzzle.block_left', colours.move),
    right: statement('puzzle.block_right', colours.move),
    repeat: { ...statement('puzzle.block_repeat', colours.loop, [whole('TIMES', 4, 1, 100)]), ...body },
    while_goal: { ...statement('puzzle.block_while_goal', colours.loop), ...body },
    if_path: {
      ...statement('puzzle.block_if_path', colours.logic, [choice('DIR', [
        [t('puzzle.path_ahead'), 'ahead'], [t('puzzle.path_left'), 'left'], [t('puzzle.path_right'), 'right'],
      ])]),
      ...body,
    },
    forward: statement('puzzle.block_forward', colours.move, [whole('STEPS', 100, 1, 500)]),
    turn: statement('puzzle.block_turn', colours.move, [
      choice('DIR', [[t('puzzle.turn_right'), 'right'], [t('puzzle.turn_left'), 'left']]), whole('ANGLE', 90, 0, 360),
    ]),
    color: statement('puzzle.block_color', colours.pen, [choice('COLOR', Object.entries(pens).map(([name, colour]) => [
      { src: swatch(colour), width: 24, height: 24, alt: t('puzzle.color_' + name) }, name,
    ]))]),
  };
  Blockly.common.defineBlocksWithJsonArray(Object.entries(definitions).map(([type, definition]) => ({ type, ...definition })));
}

const number = (block, name) => Number(block.getFieldValue(name)) || 0;
const inner = (block) => generator.statementToCode(block, 'DO');

Object.assign(generator.forBlock, {
  when_run: () => '',
  move: () => 'move();\n',
  left: () => 'turn(-90);\n',
  right: () => 'turn(90);\n',
  repeat(block) {
    const i = generator.nameDB_.getDistinctName('i', Blockly.Names.NameType.VARIABLE);
    return `for (var ${i} = 0; ${i} < ${number(block, 'TIMES')}; ${i}++) {\n${inner(block)}}\n`;
  },
  while_goal: (block) => `while (!atGoal()) {\n${inner(block)}}\n`,
  if_path: (block) => `if (path(${JSON.stringify(block.getFieldValue('DIR'))})) {\n${inner(block)}}\n`,
  forward: (block) => `forward(${number(block, 'STEPS')});\n`,
  turn: (block) => `turn(${number(block, 'ANGLE') * (block.getFieldValue('DIR') === 'left' ? -1 : 1)});\n`,
  color: (block) => `color(${JSON.stringify(block.getFieldValue('COLOR'))});\n`,
});
generator.STATEMENT_PREFIX = 'mark(%1);\n';
generator.addReservedWords('mark,move,turn,path,atGoal,forward,color');

// heads are the blocks that the program begins with: what hangs under "when Run is pressed", or, in a
// program without that, everything.
function heads(workspace) {
  const starts = workspace.getBlocksByType('when_run');
  return starts.length > 0 ? starts : workspace.getTopBlocks(true);
}

export function code(workspace) {
  generator.init(workspace);
  return generator.finish(heads(workspace).map((block) => generator.blockToCode(block)).join('\n'));
}

// count is how many blocks the program has; the start is free.
export function count(workspace) {
  return heads(workspace).flatMap((block) => block.getDescendants(false))
    .filter((block) => block.type !== 'when_run' && block.isEnabled() && !block.isShadow()).length;
}

export const toolbox = (names) => ({ kind: 'flyoutToolbox', contents: names.map((type) => ({ kind: 'block', type })) });

export const emptyProgram = { blocks: { languageVersion: 0, blocks: [{ type: 'when_run', x: 30, y: 30, deletable: false }] } };
