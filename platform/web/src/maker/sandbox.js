// Student code runs here and nowhere else: interpreted, with only the functions that the page hands in.
// It has no DOM, no network and no way to the page's own JavaScript, and a part of it that runs too long
// without a pause ends the program. Unlike lib/run.js, which runs a puzzle to its end, a program here lives
// on: it answers events, an error in one of them doesn't end it, and it may use libraries.
import Interpreter from '../lib/interpreter.js';
import { identifier } from './identifier.js';

const SLICE_MS = 8; // a slice is shorter than a frame, so the page stays alive while a program is busy
const STEPS_AT_ONCE = 200; // the clock is dear, so it is not read after every step
const STEP_LIMIT = 4_000_000; // for one event: some seconds on a school tablet
const DEPTH_LIMIT = 20_000; // of calls in calls: they take memory faster than steps
const REGEXP_MS = 2000; // the first one has to load the worker, too
const LONGEST_STRING = 1_000_000; // a step can't be interrupted, so none may have hundreds of megabytes to work on

// StudentError is thrown by a page's function to tell the student what to mend.
export class StudentError extends Error {}

// Callback is a function of the student that the page may call later.
class Callback {
  constructor(sandbox, func) {
    this.call = (...args) => sandbox.queue(func, args);
  }
}

export class Sandbox {
  // functions: name → function(...values); what it returns goes back to the student. A name may have one dot.
  // waiting: name → async function(...values); the student's program waits for it, unless the last value
  //   is a Callback: then the program goes on and the callback gets the answer.
  // libraries: [{name, source, functions}]; each becomes an object of its functions.
  // onError({line, message, endless, dialect}); line 0 is unknown. onIdle(): nothing goes on by itself any more.
  constructor({ functions = {}, waiting = {}, libraries = [], onError, onIdle = () => {}, regexpWorker }) {
    Object.assign(this, { functions, waiting, libraries, onError, onIdle, regexpWorker });
    this.timer = 0;
    this.steps = 0;
    this.stopped = true;
    this.open = 0;
  }

  // start runs the program; the names of the page's functions may not be those of JavaScript itself.
  start(code) {
    this.stopped = false;
    try {
      this.vm = new Interpreter('', (vm, global) => this.#define(vm, global));
      // Regular expressions can be slow without a step being counted: they run in a worker with a time limit.
      this.vm.REGEXP_MODE = this.regexpWorker ? 2 : 0;
      if (this.regexpWorker) this.#useWorker();
      this.#limitStrings();
      const next = this.vm.nextTask_.bind(this.vm);
      this.vm.nextTask_ = () => {
        const state = next();
        if (state) this.steps = 0;
        return state;
      };
      for (const library of this.libraries) this.vm.appendCode(wrapLibrary(library));
      this.source = 'appendCode' + this.vm.appendCodeNumber_;
      this.vm.appendCode(code);
    } catch (error) {
      this.#fail(error, code);
      this.stop();
      return;
    }
    this.#schedule(0);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.vm = null;
  }

  // queue calls a student's function with values of the page, after what runs now.
  queue(func, values = []) {
    if (this.stopped) return;
    const args = values.map((value) => this.vm.nativeToPseudo(value));
    this.vm.createTask_(false, [func, 0, ...args]);
    this.#schedule(0);
  }

  #useWorker() {
    const { vm } = this;
    vm.createWorker = () => new Worker(this.regexpWorker, { type: 'module' });
    // The interpreter's own says nothing if the student's program doesn't catch the error.
    vm.regExpTimeout = (pattern, worker, goOn) => setTimeout(() => {
      worker.terminate();
      if (this.stopped) return;
      goOn(null);
      try {
        vm.throwException(vm.ERROR, `RegExp Timeout: ${pattern}`);
      } catch (error) {
        if (vm.value === error) this.#fail(error);
      }
    }, REGEXP_MS);
  }

  // Strings grow by these steps only: "+", "+=" and what a function returns.
  #limitStrings() {
    const { vm } = this;
    for (const type of ['BinaryExpression', 'AssignmentExpression', 'CallExpression']) {
      const step = vm.stepFunctions_[type];
      vm.stepFunctions_[type] = (stack, state, node) => {
        const next = step(stack, state, node);
        const value = stack.at(-1)?.value;
        if (typeof value === 'string' && value.length > LONGEST_STRING) {
          stack.at(-1).value = '';
          vm.throwException(vm.RANGE_ERROR, 'Invalid string length');
        }
        return next;
      };
    }
  }

  #define(vm, global) {
    const define = (name, func) => {
      const [owner, member] = name.split('.');
      if (!member) return vm.setProperty(global, name, func);
      const object = vm.createObjectProto(vm.OBJECT_PROTO);
      vm.setProperty(object, member, func);
      return vm.setProperty(global, owner, object);
    };
    for (const [name, func] of Object.entries(this.functions)) {
      define(name, vm.createNativeFunction((...args) => {
        try {
          return vm.nativeToPseudo(func(...args.map((arg) => this.#value(arg))));
        } catch (error) {
          return vm.throwException(vm.ERROR, error.message);
        }
      }, false));
    }
    for (const [name, func] of Object.entries(this.waiting)) {
      define(name, vm.createAsyncFunction((a, b, c, done) => this.#wait(func, [a, b, c], done)));
    }
  }

  #value(value) {
    if (value && value.class === 'Function') return new Callback(this, value);
    const native = this.vm.pseudoToNative(value);
    weigh(native);
    return native;
  }

  // A program that doesn't wait for its answers must not have hundreds of requests under way.
  async #wait(func, pseudo, done) {
    let values = [];
    try {
      values = pseudo.map((value) => this.#value(value));
    } catch (error) {
      this.onError({ line: this.#line(), message: error.message });
      done(undefined);
      return;
    }
    while (values.length && values.at(-1) === undefined) values.pop();
    const callback = values.at(-1) instanceof Callback ? values.pop() : null;
    const resume = (value) => {
      if (this.stopped) return;
      done(this.vm.nativeToPseudo(value));
      this.#schedule(0);
    };
    const goOn = callback && this.open < 20;
    this.open++;
    if (goOn) resume(undefined);
    try {
      const answer = await func(...values);
      if (callback && !this.stopped) callback.call(...(Array.isArray(answer?.several) ? answer.several : [answer]));
      if (!goOn) resume(callback ? undefined : plain(answer));
    } catch (error) {
      if (this.stopped) return;
      this.onError({ line: this.#line(), message: error.message });
      if (callback) callback.call(null, false);
      if (!goOn) resume(undefined);
    } finally {
      this.open--;
    }
  }

  #schedule(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#slice(), delay);
  }

  #slice() {
    const end = performance.now() + SLICE_MS;
    while (!this.stopped) {
      switch (this.vm.getStatus()) {
        case 0: // done, until somebody clicks
          this.steps = 0;
          if (this.open === 0) this.onIdle();
          return;
        case 2: // a timer is set
          this.steps = 0;
          this.#schedule(Math.max(0, this.vm.tasks[0].time - Date.now()));
          return;
        case 3: // waits for an answer; a regular expression comes back without telling us
          this.steps = 0;
          this.#schedule(15);
          return;
      }
      if (!this.#steps()) return;
      if (performance.now() > end) {
        this.#schedule(0);
        return;
      }
    }
  }

  #steps() {
    try {
      for (let i = 0; i < STEPS_AT_ONCE && !this.vm.paused_; i++) {
        if (!this.vm.step() || this.stopped) break;
      }
      this.steps += STEPS_AT_ONCE;
    } catch (error) {
      // An error of the student's that nobody catches ends what runs now. One of the interpreter itself
      // leaves it where it was, so that it would meet it again and again.
      const ofStudent = this.vm?.value === error;
      this.#fail(error);
      if (!ofStudent) this.stop();
      return !this.stopped;
    }
    if (this.steps > STEP_LIMIT || this.vm?.stateStack.length > DEPTH_LIMIT) {
      const line = this.#line();
      this.stop();
      this.onError({ line, endless: true });
      return false;
    }
    return true;
  }

  // #line is where the student's own program is now, not a library it has called.
  #line() {
    const stack = this.vm?.stateStack ?? [];
    for (let i = stack.length - 1; i >= 0; i--) {
      const loc = stack[i].node.loc;
      if (loc?.source === this.source && stack[i].node.type !== 'Program') return loc.start.line;
    }
    return 0;
  }

  // The interpreter knows the JavaScript of 2009. dialect: the line has a word of a later one.
  #fail(error, code = '') {
    if (error instanceof SyntaxError && error.loc) {
      const { line } = error.loc;
      const dialect = /\b(let|const|class|async|await)\b|=>|`|\bof\b/.test(code.split('\n')[line - 1]);
      this.onError({ line, message: error.message.replace(/ \(\d+:\d+\)$/, ''), dialect });
      return;
    }
    const place = new RegExp(this.source + ':(\\d+):').exec(String(error?.stack ?? ''));
    this.onError({ line: place ? Number(place[1]) : 0, message: String(error?.message ?? error) });
  }
}

// weigh refuses values that are too large to be shown or sent, before somebody makes a copy of them.
function weigh(value) {
  let weight = 0;
  const seen = new Set();
  const add = (part) => {
    if (typeof part === 'string') weight += part.length;
    else if (part && typeof part === 'object') {
      if (seen.has(part)) throw new StudentError('Converting circular structure to JSON');
      seen.add(part);
      for (const [name, member] of Object.entries(part)) {
        weight += name.length;
        add(member);
      }
      seen.delete(part);
    }
    if ((weight += 1) > LONGEST_STRING) throw new StudentError('Invalid string length');
  };
  add(value);
}

const plain = (answer) => (Array.isArray(answer?.several) ? answer.several[0] : answer);

// A library keeps its own variables to itself; only the published functions can be reached.
function wrapLibrary({ name, source, functions }) {
  const list = functions.map((f) => `${f}: ${f}`).join(', ');
  return `var ${identifier(name)} = (function () {\n${source}\nreturn {${list}};\n})();`;
}

// functionsOf lists the functions that a program declares at its top level, in their order.
export function functionsOf(code) {
  return topLevel(code).filter((node) => node.type === 'FunctionDeclaration').map((node) => node.id.name);
}

// declarationsOf is a program without what it does by itself: a library must not draw its app's buttons.
// Variables stay if they start with a plain value.
export function declarationsOf(code) {
  const plainValue = ({ init }) => !init || init.type === 'Literal';
  return topLevel(code)
    .filter((node) => node.type === 'FunctionDeclaration' || (node.type === 'VariableDeclaration' && node.declarations.every(plainValue)))
    .map((node) => code.slice(node.start, node.end))
    .join('\n\n');
}

function topLevel(code) {
  try {
    return new Interpreter(code).ast.body;
  } catch {
    return [];
  }
}
