// Reads, and what an answer means. Writes go through the outbox.

export class ApiError extends Error {
  constructor(status, { error = 'internal', message = '', field } = {}) {
    super(message || error);
    this.name = 'ApiError';
    this.status = status;
    this.code = error;
    this.field = field;
  }
}

// Statuses after which the same request may succeed: the server, or what stands before it, was not able
// to take it. 408 and 429 are not the platform's own, they come from a balancer.
const again = new Set([408, 429, 502, 503, 504]);

// Unanswered means: nobody knows whether the server took it. after is how long to wait, in milliseconds.
export class Unanswered extends Error {
  constructor(message, after = 0) {
    super(message);
    this.name = 'Unanswered';
    this.after = after;
  }
}

// call makes one request and returns its JSON. It throws ApiError if the server has decided, else Unanswered.
export async function call(path, options = {}, timeout = 20_000) {
  let response;
  let body;
  try {
    response = await fetch(path, {
      credentials: 'same-origin', cache: 'no-store', redirect: 'error', ...options,
      signal: AbortSignal.timeout(timeout),
    });
    body = await response.text();
  } catch (e) {
    throw new Unanswered(e.message);
  }
  if (again.has(response.status)) {
    throw new Unanswered(`status ${response.status}`, Number(response.headers.get('Retry-After') ?? 0) * 1000);
  }
  let answer;
  try {
    answer = JSON.parse(body);
  } catch {
    // Half an answer, or a page of some network in between (a hotel, a school's proxy): no acknowledgement.
    if (response.ok) throw new Unanswered('the answer is not JSON');
    answer = {};
  }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

// get reads. It tries four times, then it throws ApiError too: a page can say that the server is away.
export async function get(path) {
  for (let wait = 400; ; wait *= 2) {
    try {
      return await call(path);
    } catch (e) {
      if (!(e instanceof Unanswered)) throw e;
      if (wait > 2000) throw new ApiError(503, { error: 'unavailable', message: e.message });
      await new Promise((done) => setTimeout(done, Math.max(wait, e.after)));
    }
  }
}
