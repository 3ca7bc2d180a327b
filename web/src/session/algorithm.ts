/**
 * The algorithm that an access token names, if it is not accepted, and null otherwise. A token that does not say its
 * algorithm is for the API to refuse. API Gateway refuses tokens without a reason, so the page looks for this one itself.
 */
export function refusedAlgorithm(token: string | undefined, accepted: readonly string[]): string | null {
  const algorithm = token && named(token);
  return algorithm && !accepted.includes(algorithm) ? algorithm : null;
}

function named(token: string): string | null {
  try {
    const header: unknown = JSON.parse(atob((token.split('.')[0] ?? '').replaceAll('-', '+').replaceAll('_', '/')));
    const { alg } = header as { alg?: unknown };
    return typeof alg === 'string' && /^[\w-]{1,20}$/.test(alg) ? alg : null;
  } catch {
    return null; // It is not a JWT.
  }
}
