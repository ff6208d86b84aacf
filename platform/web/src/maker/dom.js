// Short names for what the pages do to their elements all the time.
export const byId = (id) => document.getElementById(id);

export function show(element, visible) {
  if (element) element.hidden = !visible;
}
