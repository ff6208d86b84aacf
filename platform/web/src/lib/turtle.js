// The drawing board: a turtle that draws lines, and whether they are the lines of the target.
import { t } from './page.js';
import { h } from './ui.js';
import { pens } from './puzzleblocks.js';
import { animate } from './maze.js';

const SIZE = 400;
const HEADINGS = { N: 0, E: 90, S: 180, W: 270 };
const MOST_ACTIONS = 2000;
const SLOW = 60; // after so many lines the turtle hurries

export class Turtle {
  constructor(definition) {
    this.target = segments(definition.target ?? []);
    const [x, y] = definition.target?.[0] ?? [SIZE / 2, SIZE / 2];
    this.first = { x, y, angle: HEADINGS[definition.dir] ?? 0 };
    this.element = h('canvas', { class: 'board', role: 'img', 'aria-label': t('puzzle.draw_picture') });
    this.scale = fit(this.target, this.first);
    this.reset();
    new ResizeObserver(() => this.#paint()).observe(this.element);
  }

  reset() {
    this.at = { ...this.first };
    this.pen = 'black';
    this.lines = []; // [x1, y1, x2, y2, pen]
    this.outcome = null;
    this.actions = 0;
    this.#paint();
  }

  functions(end) {
    const count = () => {
      if (++this.actions >= MOST_ACTIONS) { this.outcome = 'too_long'; end(); }
    };
    return {
      functions: {
        color: (name) => { if (Object.hasOwn(pens, name)) this.pen = name; },
      },
      waiting: {
        forward: async (steps) => {
          const { x, y, angle } = this.at;
          const radians = (angle * Math.PI) / 180;
          const line = [x, y, x, y, this.pen];
          this.lines.push(line);
          await this.#move((part) => {
            this.at.x = line[2] = x + Math.sin(radians) * steps * part;
            this.at.y = line[3] = y - Math.cos(radians) * steps * part;
          }, 260);
          count();
        },
        turn: async (degrees) => {
          const { angle } = this.at;
          await this.#move((part) => { this.at.angle = angle + degrees * part; }, 140);
          count();
        },
      },
    };
  }

  result() {
    if (this.outcome) return this.outcome;
    if (this.target.length === 0) return 'free';
    return covers(this.lines, this.target) && covers(this.target, this.lines) ? 'solved' : 'not_drawn';
  }

  async #move(step, ms) {
    await animate(this.actions > SLOW ? 16 : ms, (part) => { step(part); this.#paint(); });
  }

  #paint() {
    const { element, scale } = this;
    const side = Math.round((element.clientWidth || SIZE) * devicePixelRatio);
    if (element.width !== side) element.width = element.height = side;
    const pen = element.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, side, side);
    const zoom = (side / SIZE) * scale.zoom;
    pen.setTransform(zoom, 0, 0, zoom, side / 2 - scale.x * zoom, side / 2 - scale.y * zoom);
    pen.lineCap = 'round';
    pen.lineJoin = 'round';
    stroke(pen, this.target, 12, () => '#d9d5ea');
    stroke(pen, this.lines, 5, (line) => pens[line[4]]);
    pen.translate(this.at.x, this.at.y);
    pen.rotate((this.at.angle * Math.PI) / 180);
    const size = 1 / scale.zoom;
    pen.scale(size, size);
    pen.beginPath();
    pen.moveTo(0, -17); pen.lineTo(12, 12); pen.lineTo(0, 6); pen.lineTo(-12, 12); pen.closePath();
    pen.fillStyle = '#1b7f5c';
    pen.strokeStyle = '#fff';
    pen.lineWidth = 2.5;
    pen.fill();
    pen.stroke();
  }
}

function stroke(pen, lines, width, colour) {
  pen.lineWidth = width;
  for (const line of lines) {
    pen.strokeStyle = colour(line);
    pen.beginPath();
    pen.moveTo(line[0], line[1]);
    pen.lineTo(line[2], line[3]);
    pen.stroke();
  }
}

// segments joins the points of a target by lines; null lifts the pen.
function segments(points) {
  return points.slice(1).map((to, i) => to && points[i] && [...points[i], ...to]).filter(Boolean);
}

// fit is how the target, and room to err, is seen whole.
function fit(lines, { x, y }) {
  const xs = [x, ...lines.flatMap((line) => [line[0], line[2]])];
  const ys = [y, ...lines.flatMap((line) => [line[1], line[3]])];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const zoom = Math.min(1.6, (SIZE * 0.72) / Math.max(right - left, bottom - top, 1));
  return { x: (left + right) / 2, y: (top + bottom) / 2, zoom: lines.length > 0 ? zoom : 1 };
}

const NEAR = 3; // pixels
const EVERY = 4;

// covers is true if every point of some lines lies on one of others. Colours are free, and so are the order
// and the number of strokes: only the picture counts.
function covers(others, lines) {
  return lines.every(([x1, y1, x2, y2]) => {
    const length = Math.hypot(x2 - x1, y2 - y1);
    const points = Math.max(1, Math.ceil(length / EVERY));
    for (let i = 0; i <= points; i++) {
      const x = x1 + ((x2 - x1) * i) / points;
      const y = y1 + ((y2 - y1) * i) / points;
      if (!others.some((other) => distance(x, y, other) <= NEAR)) return false;
    }
    return true;
  });
}

function distance(x, y, [x1, y1, x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = dx || dy ? Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy))) : 0;
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}
