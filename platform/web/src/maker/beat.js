// The music: drums, bass and chords made with WebAudio, so nothing is licensed and nothing is loaded.
// Each style is one bar of sixteen steps, four to a beat. A letter is a note of the scale, '.' is silence.
const STYLES = {
  pop: {
    kick: 'x.......x.......', snare: '....x.......x...', hat: 'x.x.x.x.x.x.x.x.',
    bass: 'a...a...c...e...', chord: 'a.......d.......', wave: 'triangle',
  },
  house: {
    kick: 'x...x...x...x...', snare: '....x.......x...', hat: '..x...x...x...x.',
    bass: '..a...a...c...e.', chord: '...a..a....d..d.', wave: 'sawtooth',
  },
  hiphop: {
    kick: 'x..x......x.....', snare: '....x.......x..x', hat: 'x.xxx.x.x.xxx.x.',
    bass: 'a.....a...e.....', chord: 'a...........c...', wave: 'sine',
  },
  samba: {
    kick: 'x..x..x.x..x..x.', snare: 'x..x..x...x.x...', hat: 'xxxxxxxxxxxxxxxx',
    bass: 'a..e..a.a..e..c.', chord: '..a..a....d..d..', wave: 'triangle',
  },
};

// The minor pentatonic scale sounds well in whatever order its notes come.
const NOTES = { a: 0, b: 3, c: 5, d: 7, e: 10 };
const ROOT_HZ = 55;
const LOOK_AHEAD_MS = 120; // sounds are handed to WebAudio this early, so a busy page doesn't stumble
const TICK_MS = 25;

const hertz = (note, octave) => ROOT_HZ * 2 ** (octave + NOTES[note] / 12);

export class Beat {
  // onBeat(n) is called when beat n (1…) is heard.
  constructor(onBeat) {
    this.onBeat = onBeat;
    this.muted = false;
    this.sounds = new Map(); // decoded sounds of the project, by their address
    this.reset();
  }

  reset() {
    this.tempo = 110;
    this.style = 'pop';
    this.step = 0;
    this.heard = [];
    this.beat = 0;
    this.beatAt = 0;
    this.running = false;
  }

  // start must be called from a click: browsers allow no sound before one.
  start() {
    this.reset();
    this.running = true;
    try {
      this.audio ??= new AudioContext();
      this.audio.resume();
      this.#connect();
    } catch {
      this.audio = null; // no sound device: the dance goes on without music
    }
    this.nextAt = performance.now() + 60;
    this.timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.running = false;
    if (this.out) this.out.gain.value = 0;
    this.out = null;
  }

  mute(muted) {
    this.muted = muted;
    if (this.out) this.out.gain.value = muted ? 0 : 0.7;
  }

  setTempo(beatsPerMinute) {
    this.tempo = Math.min(240, Math.max(40, Number(beatsPerMinute) || 110));
  }

  setStyle(style) {
    if (STYLES[style]) this.style = style;
  }

  // phase is how far the present beat has come, 0…1.
  phase() {
    return Math.min(1, (performance.now() - this.beatAt) / (60000 / this.tempo));
  }

  // Each run has an output of its own: stopping silences what was handed to WebAudio already.
  #connect() {
    this.out = this.audio.createGain();
    this.out.gain.value = this.muted ? 0 : 0.7;
    const limiter = this.audio.createDynamicsCompressor();
    this.out.connect(limiter).connect(this.audio.destination);
    if (this.noise) return;
    this.noise = this.audio.createBuffer(1, this.audio.sampleRate, this.audio.sampleRate);
    const data = this.noise.getChannelData(0);
    for (let i = 0; i < data.length; i++) data[i] = Math.random() * 2 - 1;
  }

  #tick() {
    const now = performance.now();
    while (this.nextAt < now + LOOK_AHEAD_MS) {
      if (this.step % 4 === 0) this.heard.push({ beat: this.step / 4 + 1, at: this.nextAt });
      this.#playStep(this.step % 16, this.#audioTime(this.nextAt));
      this.nextAt += 15000 / this.tempo;
      this.step++;
    }
    while (this.running && this.heard.length && this.heard[0].at <= now) {
      const { beat, at } = this.heard.shift();
      this.beat = beat;
      this.beatAt = at;
      this.onBeat(beat);
    }
  }

  #audioTime(at) {
    return this.audio ? this.audio.currentTime + Math.max(0, at - performance.now()) / 1000 : 0;
  }

  #playStep(i, at) {
    if (!this.out || this.audio.state !== 'running') return;
    const style = STYLES[this.style];
    if (style.kick[i] === 'x') this.#tone('sine', 140, at, 0.28, 0.9, 40);
    if (style.snare[i] === 'x') this.#hiss('bandpass', 1800, at, 0.16, 0.5);
    if (style.hat[i] === 'x') this.#hiss('highpass', 8000, at, 0.05, i % 4 === 0 ? 0.22 : 0.12);
    if (style.bass[i] !== '.') this.#tone(style.wave, hertz(style.bass[i], 0), at, 0.25, 0.4);
    if (style.chord[i] !== '.') {
      for (const up of [2, 2 + 3 / 12, 2 + 7 / 12]) this.#tone(style.wave, hertz(style.chord[i], up), at, 0.3, 0.07);
    }
  }

  #envelope(at, seconds, loud) {
    const gain = this.audio.createGain();
    gain.gain.setValueAtTime(loud, at);
    gain.gain.exponentialRampToValueAtTime(0.001, at + seconds);
    gain.connect(this.out);
    return gain;
  }

  #tone(wave, from, at, seconds, loud, to = from) {
    const tone = this.audio.createOscillator();
    tone.type = wave;
    tone.frequency.setValueAtTime(from, at);
    if (to !== from) tone.frequency.exponentialRampToValueAtTime(to, at + seconds / 2);
    tone.connect(this.#envelope(at, seconds, loud));
    tone.start(at);
    tone.stop(at + seconds);
  }

  #hiss(filter, frequency, at, seconds, loud) {
    const source = this.audio.createBufferSource();
    source.buffer = this.noise;
    const band = this.audio.createBiquadFilter();
    band.type = filter;
    band.frequency.value = frequency;
    source.connect(band).connect(this.#envelope(at, seconds, loud));
    source.start(at, Math.random() * 0.5);
    source.stop(at + seconds);
  }

  // effect plays one of the sounds that every project has. It works without a dance, too.
  effect(name) {
    if (!this.#ready()) return;
    const at = this.audio.currentTime;
    if (name === 'clap') for (const late of [0, 0.012, 0.026]) this.#hiss('bandpass', 1300, at + late, 0.14, 0.7);
    if (name === 'bell') for (const [f, loud] of [[880, 0.3], [1760, 0.18], [2637, 0.1]]) this.#tone('sine', f, at, 1.2, loud);
    if (name === 'horn') for (const f of [233, 311]) this.#tone('sawtooth', f, at, 0.6, 0.2);
  }

  // play plays a sound file of the project.
  async play(address) {
    if (!this.#ready()) return;
    let buffer = this.sounds.get(address);
    if (!buffer) {
      const answer = await fetch(address);
      if (!answer.ok) return;
      buffer = await this.audio.decodeAudioData(await answer.arrayBuffer());
      this.sounds.set(address, buffer);
    }
    if (!this.out) return;
    const source = this.audio.createBufferSource();
    source.buffer = buffer;
    source.connect(this.out);
    source.start();
  }

  #ready() {
    try {
      this.audio ??= new AudioContext();
      if (!this.out) this.#connect();
      this.audio.resume();
      return true;
    } catch {
      return false;
    }
  }
}

export const EFFECTS = ['clap', 'bell', 'horn'];
export const MUSIC = Object.keys(STYLES);
