/** JSON pointers (RFC 6901). */
export function steps(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .replace(/^#?\//, '')
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function join(path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The part of the pointer below a prefix, or null if it points elsewhere. */
export function below(parent: string, pointer: string): string | null {
  if (pointer === parent) return '';
  return pointer.startsWith(`${parent}/`) ? pointer.slice(parent.length) : null;
}
