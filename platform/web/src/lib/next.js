// Where to go after signing in: a path of this site from ?next=, else a page for the kind of person.
export function next(user) {
  const wanted = new URLSearchParams(location.search).get('next');
  if (wanted) {
    const url = new URL(wanted, location.origin);
    if (url.origin === location.origin) return url.pathname + url.search;
  }
  return { teacher: '/teach', organiser: '/events', admin: '/admin' }[user.kind] ?? '/me';
}
