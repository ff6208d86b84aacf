// The maze: what the program may do in it, and its picture.
import { t } from './page.js';
import { s, set, still } from './ui.js';

const CELL = 50;
const DIRECTIONS = [['N', 0, -1], ['E', 1, 0], ['S', 0, 1], ['W', -1, 0]];
const NAMES = ['north', 'east', 'south', 'west'];
const MOST_ACTIONS = 300; // a longer walk is one without an end
const LEISURELY = 50; // actions, after which the robot hurries

export class Maze {
  constructor(definition) {
    this.grid = definition.grid;
    this.first = { ...find(this.grid, 'S'), heading: Math.max(0, DIRECTIONS.findIndex(([name]) => name === definition.dir)) };
    this.goal = find(this.grid, 'G');
    this.element = this.#draw();
    this.reset();
  }

  reset() {
    this.at = { ...this.first };
    this.outcome = null;
    this.angle = this.first.heading * 90;
    this.actions = 0;
    this.robot.classList.remove('happy');
    this.#place(this.at.x, this.at.y, this.angle);
    this.#describe();
  }

  // functions are what a program sees. end() is called when there is nothing more to do.
  functions(end) {
    const finish = (outcome) => { this.outcome = outcome; end(); };
    return {
      functions: {
        path: (where) => this.#free(this.#next({ ahead: 0, left: 3, right: 1 }[where])),
        atGoal: () => this.#atGoal(),
      },
      waiting: {
        move: async () => {
          const to = this.#next(0);
          if (!this.#free(to)) {
            await this.#bump(to);
            return finish('wall');
          }
          await this.#glide({ x: to.x, y: to.y }, this.angle);
          Object.assign(this.at, to);
          if (this.#atGoal()) return finish('solved');
          return this.#count(finish);
        },
        turn: async (degrees) => {
          await this.#glide(this.at, this.angle + degrees);
          this.at.heading = (this.at.heading + (degrees > 0 ? 1 : 3)) % 4;
          return this.#count(finish);
        },
      },
    };
  }

  // result says how it went once the program is at its end.
  result() {
    this.#describe();
    if (this.outcome === 'solved') this.robot.classList.add('happy');
    return this.outcome ?? 'not_there';
  }

  #count(finish) {
    if (++this.actions >= MOST_ACTIONS) finish('too_long');
  }

  #atGoal() {
    return this.at.x === this.goal.x && this.at.y === this.goal.y;
  }

  #next(turn) {
    const [, dx, dy] = DIRECTIONS[(this.at.heading + turn) % 4];
    return { x: this.at.x + dx, y: this.at.y + dy };
  }

  #free({ x, y }) {
    return (this.grid[y]?.[x] ?? '#') !== '#';
  }

  #place(x, y, angle) {
    set(this.robot, { transform: `translate(${(x + 0.5) * CELL} ${(y + 0.5) * CELL}) rotate(${angle})` });
  }

  async #glide(to, angle) {
    const from = { ...this.at, angle: this.angle };
    this.angle = angle;
    // A long walk is most likely one in a circle: nobody has to watch all of it.
    await animate(this.actions > LEISURELY ? 50 : 260, (part) => this.#place(
      from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part, from.angle + (angle - from.angle) * part));
  }

  async #bump(to) {
    const { x, y } = this.at;
    await animate(300, (part) => {
      const push = Math.sin(part * Math.PI) * 0.28;
      this.#place(x + (to.x - x) * push, y + (to.y - y) * push, this.angle);
    });
  }

  #describe() {
    this.element.setAttribute('aria-label', t('puzzle.maze_picture', this.at.y + 1, this.at.x + 1,
      t('puzzle.' + NAMES[this.at.heading]), this.goal.y + 1, this.goal.x + 1));
  }

  #draw() {
    const width = Math.max(...this.grid.map((row) => row.length));
    const tiles = s('g');
    this.grid.forEach((row, y) => [...row].forEach((mark, x) => {
      if (mark !== '#') tiles.append(s('rect', { x: x * CELL + 1.5, y: y * CELL + 1.5, width: CELL - 3, height: CELL - 3, rx: 9, class: 'tile' }));
      else if ((x * 7 + y * 5) % 4 === 0) tiles.append(plant(x, y));
    }));
    const { x, y } = this.goal;
    const goal = s('g', { class: 'goal', transform: `translate(${(x + 0.5) * CELL} ${(y + 0.5) * CELL})` },
      s('path', { d: star(17, 8), class: 'star' }));
    this.robot = robot();
    return s('svg', { viewBox: `0 0 ${width * CELL} ${this.grid.length * CELL}`, class: 'maze', role: 'img' }, tiles, goal, this.robot);
  }
}

function find(grid, mark) {
  for (const [y, row] of grid.entries()) {
    const x = row.indexOf(mark);
    if (x >= 0) return { x, y };
  }
  return { x: 0, y: 0 };
}

// A robot seen from above that looks up; the page turns it.
function robot() {
  return s('g', { class: 'robot' },
    s('rect', { x: -18, y: -14, width: 7, height: 28, rx: 3.5, class: 'wheel' }),
    s('rect', { x: 11, y: -14, width: 7, height: 28, rx: 3.5, class: 'wheel' }),
    s('path', { d: 'M-13 16V-4C-13-14-7-19 0-19S13-14 13-4V16Q13 18 11 18H-11Q-13 18-13 16Z', class: 'body' }),
    s('path', { d: 'M0-19V-14', class: 'nose' }),
    s('circle', { cx: -5.5, cy: -7, r: 4.6, class: 'eye' }), s('circle', { cx: 5.5, cy: -7, r: 4.6, class: 'eye' }),
    s('circle', { cx: -5.5, cy: -8.6, r: 2.2, class: 'pupil' }), s('circle', { cx: 5.5, cy: -8.6, r: 2.2, class: 'pupil' }),
    s('rect', { x: -6, y: 4, width: 12, height: 7, rx: 3, class: 'lamp' }));
}

function plant(x, y) {
  const at = `translate(${(x + 0.5) * CELL} ${(y + 0.5) * CELL})`;
  return s('g', { transform: at, class: 'plant' },
    s('circle', { cx: -6, cy: 3, r: 7 }), s('circle', { cx: 6, cy: 4, r: 6 }), s('circle', { cx: 0, cy: -5, r: 7 }));
}

function star(outer, inner) {
  const points = Array.from({ length: 10 }, (_, i) => {
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    const r = i % 2 ? inner : outer;
    return `${(Math.cos(angle) * r).toFixed(1)} ${(Math.sin(angle) * r).toFixed(1)}`;
  });
  return `M${points.join('L')}Z`;
}

// animate calls draw with 0…1 over some time. Where a person wants no motion, there is one jump and a rest.
export async function animate(ms, draw) {
  if (still.matches) {
    draw(1);
    await new Promise((done) => setTimeout(done, ms));
    return;
  }
  const start = performance.now();
  await new Promise((done) => {
    const frame = (now) => {
      const part = Math.min(1, Math.max(0, (now - start) / ms));
      draw(part);
      if (part < 1) requestAnimationFrame(frame);
      else done();
    };
    requestAnimationFrame(frame);
  });
}
