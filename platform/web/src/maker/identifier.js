// identifier makes a library's name fit to be written before a dot.
export function identifier(name) {
  const word = name.normalize('NFKD').replace(/[^A-Za-z0-9_$]+(.)?/g, (_, c) => (c ?? '').toUpperCase());
  return /^[A-Za-z_$]/.test(word) ? word : 'lib' + word;
}
