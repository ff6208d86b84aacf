// Runs the program of a puzzle in an interpreter of its own: it sees the functions that it is given and
// nothing else, no page, no network, no eval of the browser's. It has a limit of steps, so a program that
// never ends is stopped and the page never hangs.
import Interpreter from './interpreter.js';

export class ProgramError extends Error { name = 'ProgramError'; }
export class TooLong extends Error { name = 'TooLong'; }

const SLICE = 1000; // steps between two looks at the page's events
const { Status } = Interpreter;

export class Program {
  #interpreter;
  #maxSteps;
  #stopped = false;
  #wake = null; // ends the wait for a waiting function
  #problem = null; // an error of one

  // functions get plain values and return one at once. waiting functions return a promise; the program
  // stands still until it is fulfilled. They are to name their parameters: no default, no rest.
  constructor(code, { functions = {}, waiting = {}, maxSteps = 200_000 } = {}) {
    this.#maxSteps = maxSteps;
    try {
      this.#interpreter = new Interpreter(code, (interpreter, global) => {
        for (const [name, fn] of Object.entries(functions)) {
          interpreter.setProperty(global, name, interpreter.createNativeFunction(direct(interpreter, fn)));
        }
        for (const [name, fn] of Object.entries(waiting)) {
          interpreter.setProperty(global, name, interpreter.createAsyncFunction(this.#waiting(interpreter, fn)));
        }
      });
    } catch (e) {
      throw new ProgramError(messageOf(e));
    }
    // A regular expression would run natively, where no step limit can stop it.
    this.#interpreter.REGEXP_MODE = 0;
  }

  // run resolves when the program is at its end or stop() was called. It rejects with ProgramError or TooLong.
  async run() {
    let steps = 0;
    try {
      while (!this.#stopped) {
        if (this.#problem) throw this.#problem;
        const status = this.#interpreter.getStatus();
        // What waits for a timer is at its end too: a puzzle has no clock.
        if (status === Status.DONE || status === Status.TASK) return;
        if (status === Status.ASYNC) {
          await new Promise((done) => { this.#wake = done; });
          continue;
        }
        for (let i = 0; i < SLICE && !this.#stopped && this.#interpreter.getStatus() === Status.STEP; i++) {
          this.#interpreter.step();
          if (++steps > this.#maxSteps) throw new TooLong();
        }
        await soon();
      }
    } catch (e) {
      throw e instanceof TooLong || e instanceof ProgramError ? e : new ProgramError(messageOf(e));
    } finally {
      this.#stopped = true;
    }
  }

  // stop ends the program before its next step.
  stop() {
    this.#stopped = true;
    this.#wake?.();
  }

  #waiting(interpreter, fn) {
    const wrapper = (...args) => {
      const goOn = args.pop();
      fn(...args.map((value) => interpreter.pseudoToNative(value))).then(
        (value) => goOn(interpreter.nativeToPseudo(plain(value))),
        (e) => { this.#problem = new ProgramError(messageOf(e)); },
      ).finally(() => this.#wake?.());
    };
    // The interpreter reads from the length how many arguments to pass before the callback.
    return Object.defineProperty(wrapper, 'length', { value: fn.length + 1 });
  }
}

function direct(interpreter, fn) {
  return (...args) => {
    try {
      return interpreter.nativeToPseudo(plain(fn(...args.map((value) => interpreter.pseudoToNative(value)))));
    } catch (e) {
      return interpreter.throwException(interpreter.ERROR, messageOf(e));
    }
  };
}

const messageOf = (e) => String(e?.message ?? e);

// plain lets only data into the interpreter: never an object that has a way back to the page.
const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value) ?? 'null'));

// soon lets the page paint and react. A message is not slowed down as timers are.
function soon() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); done(); };
    port2.postMessage(null);
  });
}
