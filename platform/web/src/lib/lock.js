// One tab at a time. Browsers have locks only on https and localhost; on a school's plain http two tabs may
// send the same write at once, which its operation id makes harmless.
export const lock = (name, work) => (navigator.locks ? navigator.locks.request(name, work) : work());
