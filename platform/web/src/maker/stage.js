// The dance floor: a canvas of 400 × 400 units, the dancers on it and what is behind them.
const UNITS = 400;

// A move gives the pose of a dancer for a point of the beat, p = 0…1, and for every second beat
// the other side (side = 1 or -1). Angles are in radians, lengths in units of a dancer 100 high.
// arms and legs hang down at 0; up lifts the whole dancer, turn rotates it, flat squeezes it.
const wave = (p) => Math.sin(p * 2 * Math.PI);
const hop = (p) => Math.sin(p * Math.PI);
const MOVES = {
  rest: (p) => ({ up: 1.5 * hop(p), armL: 0.25, armR: 0.25 }),
  jump: (p) => ({ up: 32 * hop(p), armL: 0.4 + 2.2 * hop(p), armR: 0.4 + 2.2 * hop(p), legL: 0.3 * hop(p), legR: 0.3 * hop(p) }),
  spin: (p) => ({ flat: Math.cos(p * 2 * Math.PI), armL: 1.4, armR: 1.4, up: 3 * hop(p) }),
  wave: (p) => ({ armL: 0.2, armR: 2.4 + 0.5 * wave(p * 2), lean: 0.08 * wave(p) }),
  clap: (p, side) => ({ armL: 1.2 - 1.9 * hop(p), armR: 1.2 - 1.9 * hop(p), lean: 0.06 * side, up: 3 * hop(p) }),
  kick: (p, side) => ({ legL: side > 0 ? 1.3 * hop(p) : 0, legR: side > 0 ? 0 : 1.3 * hop(p), armL: 0.9, armR: 0.9, lean: -0.14 * side * hop(p) }),
  slide: (p, side) => ({ across: 26 * side * Math.cos(p * Math.PI), lean: 0.16 * side, armL: 0.5 + 0.5 * side, armR: 0.5 - 0.5 * side, legL: 0.25 * hop(p), legR: 0.25 * hop(p) }),
  bow: (p) => ({ bow: hop(p), armL: 0.3 + 0.8 * hop(p), armR: 0.3 + 0.8 * hop(p) }),
};
export const MOVE_NAMES = Object.keys(MOVES);
const REAL_MOVES = MOVE_NAMES.filter((name) => name !== 'rest');

const COLOURS = { cat: '#e8963a', robot: '#8aa4b8', bear: '#9a6a43', frog: '#5fae4a', alien: '#a574d4', ghost: '#e9edf5' };
export const DANCERS = Object.keys(COLOURS);
export const PLACES = { left: [90, 270], middle: [200, 270], right: [310, 270], front: [200, 340], back: [200, 200] };
export const SWATCHES = { '🟥': '#d93a3a', '🟧': '#e8963a', '🟨': '#f0cf3c', '🟩': '#4fae50', '🟦': '#3f79d8', '🟪': '#9559c9', '🟫': '#8d5f3c', '⬛': '#2c2f38', '⬜': '#f2f4f8' };
export const BACKGROUNDS = ['plain', 'disco', 'stars', 'waves', 'picture'];

const random = (list) => list[Math.floor(Math.random() * list.length)];

export class Stage {
  constructor(canvas, calm) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.calm = calm;
    this.picture = null;
    this.reset();
  }

  reset() {
    this.background = 'plain';
    this.dancers = new Map();
  }

  // each calls do(dancer) for a dancer that is on the stage, or for all.
  #each(name, act) {
    if (name === 'all') for (const dancer of this.dancers.values()) act(dancer);
    else if (this.dancers.has(name)) act(this.dancers.get(name));
  }

  show(name, place) {
    const wanted = name === 'all' ? DANCERS : DANCERS.filter((d) => d === name);
    wanted.forEach((kind, i) => {
      let [x, y] = PLACES[place] ?? PLACES.middle;
      if (wanted.length > 1) x = 50 + i * 60;
      const dancer = this.dancers.get(kind) ?? { kind, size: 100, colour: COLOURS[kind], keep: 'rest', once: null };
      this.dancers.set(kind, Object.assign(dancer, { x, y }));
    });
  }

  hide(name) {
    if (name === 'all') this.dancers.clear();
    else this.dancers.delete(name);
  }

  once(name, move, beat) {
    this.#each(name, (dancer) => (dancer.once = { move: this.#move(move), beat }));
  }

  keep(name, move) {
    this.#each(name, (dancer) => Object.assign(dancer, { keep: this.#move(move), once: null }));
  }

  #move(move) {
    if (move === 'any') return random(REAL_MOVES);
    return MOVES[move] ? move : 'rest';
  }

  colour(name, swatch) {
    this.#each(name, (dancer) => (dancer.colour = SWATCHES[swatch] ?? random(Object.values(SWATCHES))));
  }

  size(name, percent) {
    this.#each(name, (dancer) => (dancer.size = Math.min(300, Math.max(10, Number(percent) || 100))));
  }

  place(name, x, y) {
    this.#each(name, (dancer) => Object.assign(dancer, { x: limit(x), y: limit(y) }));
  }

  setBackground(name) {
    if (BACKGROUNDS.includes(name)) this.background = name;
  }

  // draw shows one moment: beat is the number of the beat, phase how far it has come.
  draw(beat, phase) {
    const scale = this.#fit();
    const pen = this.pen;
    const p = this.calm ? 0.4 : phase;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.#drawBackground(beat, p);
    const order = [...this.dancers.values()].sort((a, b) => a.y - b.y);
    for (const dancer of order) {
      const once = dancer.once && dancer.once.beat === beat ? dancer.once.move : null;
      drawDancer(pen, dancer, MOVES[once ?? dancer.keep](p, beat % 2 ? 1 : -1));
    }
  }

  // The canvas has as many pixels as the screen shows, so that lines are sharp.
  #fit() {
    const wide = Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1)) || UNITS;
    if (this.canvas.width !== wide) this.canvas.width = this.canvas.height = wide;
    return wide / UNITS;
  }

  #drawBackground(beat, p) {
    const pen = this.pen;
    const night = pen.createLinearGradient(0, 0, 0, UNITS);
    night.addColorStop(0, '#23264a');
    night.addColorStop(1, '#4a3b73');
    pen.fillStyle = night;
    pen.fillRect(0, 0, UNITS, UNITS);
    const t = this.calm ? beat : beat + p;
    if (this.background === 'picture' && this.picture) drawCover(pen, this.picture);
    if (this.background === 'disco') drawDisco(pen, beat, t);
    if (this.background === 'stars') drawStars(pen, t, p);
    if (this.background === 'waves') drawWaves(pen, t);
    if (this.background === 'plain') {
      pen.fillStyle = '#00000033';
      pen.fillRect(0, 230, UNITS, 170);
    }
  }
}

const limit = (value) => Math.min(UNITS, Math.max(0, Number(value) || 0));

function drawCover(pen, picture) {
  const { width, height } = picture;
  const scale = Math.max(UNITS / width, UNITS / height);
  pen.drawImage(picture, (UNITS - width * scale) / 2, (UNITS - height * scale) / 2, width * scale, height * scale);
}

function drawDisco(pen, beat, t) {
  for (let row = 0; row < 6; row++) {
    const top = 220 + row * 30;
    for (let column = 0; column < 8; column++) {
      const hue = (column * 47 + row * 83 + beat * 61) % 360;
      pen.fillStyle = `hsl(${hue} 70% ${(column + row + beat) % 2 ? 42 : 56}%)`;
      pen.fillRect(column * 50, top, 49, 29);
    }
  }
  for (let i = 0; i < 4; i++) {
    const aim = 60 + i * 95 + 40 * Math.sin(t * 1.3 + i * 2);
    pen.fillStyle = `hsl(${(i * 90 + beat * 30) % 360} 90% 70% / 0.22)`;
    pen.beginPath();
    pen.moveTo(200, 10);
    pen.lineTo(aim - 38, 400);
    pen.lineTo(aim + 38, 400);
    pen.fill();
  }
  pen.fillStyle = '#d7dbe8';
  circle(pen, 200, 22, 20);
}

function drawStars(pen, t, p) {
  for (let i = 0; i < 60; i++) {
    const x = (i * 131 + t * (4 + (i % 5) * 3)) % UNITS;
    const y = (i * 71) % 300;
    pen.fillStyle = `hsl(${(i * 37) % 360} 80% 85% / ${i % 3 ? 0.7 : 0.4 + 0.6 * hop(p)})`;
    circle(pen, x, y, 1 + (i % 3));
  }
  pen.fillStyle = '#6d5aa8';
  pen.beginPath();
  pen.ellipse(200, 400, 300, 120, 0, 0, 2 * Math.PI);
  pen.fill();
}

function drawWaves(pen, t) {
  pen.fillStyle = '#f3b866';
  circle(pen, 310, 80, 38);
  for (let row = 0; row < 5; row++) {
    pen.fillStyle = `hsl(${200 + row * 6} 65% ${58 - row * 7}%)`;
    pen.beginPath();
    pen.moveTo(0, UNITS);
    for (let x = 0; x <= UNITS; x += 10) pen.lineTo(x, 190 + row * 45 + 12 * Math.sin(x / 34 + t * 1.6 + row * 1.9));
    pen.lineTo(UNITS, UNITS);
    pen.fill();
  }
}

function circle(pen, x, y, r) {
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.fill();
}

// drawDancer draws a dancer whose feet stand at its x and y.
function drawDancer(pen, dancer, pose) {
  const { up = 0, across = 0, lean = 0, flat = 1, bow = 0, armL = 0, armR = 0, legL = 0, legR = 0 } = pose;
  const size = dancer.size / 100;
  pen.save();
  pen.translate(dancer.x + across, dancer.y);
  pen.scale(size, size);
  pen.fillStyle = '#00000040';
  pen.beginPath();
  pen.ellipse(0, 2, 26 - up / 4, 5, 0, 0, 2 * Math.PI);
  pen.fill();
  pen.translate(0, -up);
  pen.rotate(lean);
  pen.scale(Math.abs(flat) < 0.12 ? 0.12 : flat, 1);
  pen.lineCap = 'round';
  pen.lineWidth = 9;
  pen.strokeStyle = pen.fillStyle = dancer.colour;
  const ghost = dancer.kind === 'ghost';
  if (!ghost) {
    limb(pen, -9, -30, -legL, 30);
    limb(pen, 9, -30, legR, 30);
  }
  pen.translate(0, -30);
  pen.scale(1, 1 - 0.25 * bow);
  pen.rotate(0.25 * bow);
  limb(pen, -17, -36, -armL, 30, true);
  limb(pen, 17, -36, armR, 30, true);
  drawBody(pen, dancer.kind);
  pen.translate(0, -58 + 8 * bow);
  drawHead(pen, dancer.kind, dancer.colour);
  pen.restore();
}

// limb draws an arm or a leg that hangs down from a point, turned by an angle.
function limb(pen, x, y, angle, length) {
  const endX = x + Math.sin(angle) * length;
  const endY = y + Math.cos(angle) * length;
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(endX, endY);
  pen.stroke();
  circle(pen, endX, endY, 6);
}

function drawBody(pen, kind) {
  pen.beginPath();
  if (kind === 'robot') pen.rect(-20, -46, 40, 48);
  else if (kind === 'ghost') {
    pen.moveTo(-24, -46);
    pen.lineTo(24, -46);
    pen.lineTo(26, 26);
    for (let i = 0; i < 4; i++) pen.quadraticCurveTo(26 - i * 13 - 6, i % 2 ? 30 : 10, 26 - (i + 1) * 13, 24);
  } else pen.ellipse(0, -22, 20, 26, 0, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = '#ffffff55';
  if (kind === 'robot') {
    for (let i = 0; i < 3; i++) circle(pen, -10 + i * 10, -30, 3.5);
    pen.fillRect(-12, -20, 24, 12);
  } else if (kind !== 'ghost') {
    pen.beginPath();
    pen.ellipse(0, -18, 11, 16, 0, 0, 2 * Math.PI);
    pen.fill();
  }
}

function drawHead(pen, kind, colour) {
  pen.fillStyle = colour;
  const ears = {
    cat: () => { triangle(pen, -22, -10, -18, -34, -4, -20); triangle(pen, 22, -10, 18, -34, 4, -20); },
    bear: () => { circle(pen, -18, -20, 9); circle(pen, 18, -20, 9); },
    frog: () => { circle(pen, -13, -20, 10); circle(pen, 13, -20, 10); },
    robot: () => { pen.fillRect(-2, -36, 4, 16); circle(pen, 0, -37, 5); },
    alien: () => { pen.lineWidth = 4; limbUp(pen, -9); limbUp(pen, 9); },
    ghost: () => {},
  };
  ears[kind]();
  if (kind === 'robot') pen.fillRect(-21, -23, 42, 38);
  else {
    pen.beginPath();
    pen.ellipse(0, -4, kind === 'alien' ? 26 : 24, kind === 'alien' ? 20 : 22, 0, 0, 2 * Math.PI);
    pen.fill();
  }
  const high = kind === 'frog' ? -20 : -6;
  const apart = kind === 'frog' ? 13 : 9;
  pen.fillStyle = '#fff';
  circle(pen, -apart, high, 6);
  circle(pen, apart, high, 6);
  pen.fillStyle = '#20232e';
  circle(pen, -apart, high, kind === 'alien' ? 5 : 3);
  circle(pen, apart, high, kind === 'alien' ? 5 : 3);
  pen.strokeStyle = '#20232e';
  pen.lineWidth = 2;
  pen.beginPath();
  if (kind === 'robot') {
    pen.moveTo(-9, 8);
    pen.lineTo(9, 8);
  } else pen.arc(0, 2, kind === 'frog' ? 13 : 7, 0.25, Math.PI - 0.25);
  pen.stroke();
  if (kind === 'cat') {
    for (const side of [-1, 1]) {
      for (const y of [2, 6]) {
        pen.beginPath();
        pen.moveTo(side * 12, y);
        pen.lineTo(side * 24, y - 2);
        pen.stroke();
      }
    }
  }
}

function triangle(pen, ...points) {
  pen.beginPath();
  pen.moveTo(points[0], points[1]);
  pen.lineTo(points[2], points[3]);
  pen.lineTo(points[4], points[5]);
  pen.fill();
}

function limbUp(pen, x) {
  pen.beginPath();
  pen.moveTo(x, -20);
  pen.lineTo(x * 1.8, -34);
  pen.stroke();
  circle(pen, x * 1.8, -36, 4);
}
