import { expect, it } from 'vitest';
import { refusedAlgorithm } from './algorithm';

function token(header: unknown): string {
  return `${btoa(JSON.stringify(header)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.e30.c2ln`;
}

it('names the algorithm of a token that the deployment does not take', () => {
  expect(refusedAlgorithm(token({ alg: 'EdDSA', kid: 'ÿÿ>' }), ['RS256'])).toBe('EdDSA');
  expect(refusedAlgorithm(token({ alg: 'RS512' }), ['RS256', 'ES256', 'EdDSA'])).toBe('RS512');
});

it('lets every other token go to the API', () => {
  expect(refusedAlgorithm(token({ alg: 'EdDSA' }), ['EdDSA'])).toBeNull();
  for (const opaque of [
    undefined,
    '',
    'opaque',
    '!.!.!',
    token(null),
    token({}),
    token({ alg: 7 }),
    token({ alg: '<b>' }),
  ]) {
    expect(refusedAlgorithm(opaque, ['RS256'])).toBeNull();
  }
});
