import { describe, expect, it } from 'vitest';
import { check } from './check';
import { ofForm, parse, type Schema, same } from './dialect';
import { below, join, steps } from './pointer';

const SCHEMA: Schema = {
  type: 'object',
  properties: {
    greeting: { type: 'string', minLength: 2 },
    words: { type: 'array', items: { type: 'string' }, maxItems: 2 },
    step: { type: 'number', multipleOf: 0.1 },
    key: { type: 'string', writeOnly: true },
  },
  required: ['greeting', 'key'],
  additionalProperties: false,
};

describe('check', () => {
  it('takes settings that keep to the schema, where the secret is set', () => {
    expect(check(SCHEMA, { greeting: 'hi', words: ['a'], step: 0.3 }, ['key'])).toEqual([]);
  });

  it.each([
    [{ greeting: 'hi' }, '/key', 'is a secret that is required; set it with the secrets'],
    [{ greeting: 'hi', key: 'x' }, '/key', 'is a secret; set it with the secrets, not in the settings'],
    [{ greeting: 'x' }, '/greeting', 'must have at least 2 characters'],
    [{ greeting: 1 }, '/greeting', 'must be a text'],
    [{ greeting: 'hi', words: ['a', 2] }, '/words/1', 'must be a text'],
    [{ greeting: 'hi', words: ['a', 'b', 'c'] }, '/words', 'must have at most 2 items'],
    [{ greeting: 'hi', 'a/b': 1 }, '/a~1b', 'is not a setting of this version; remove it'],
  ])('reports the error of %j at %s', (settings, pointer, message) => {
    expect(check(SCHEMA, settings)).toContainEqual({ pointer, message });
  });

  it('evaluates nothing but the dialect', () => {
    const schema = { type: 'object', properties: { a: { type: 'string', pattern: '^b$', format: 'email' } } } as Schema;
    expect(check(schema, { a: 'c' })).toEqual([]);
  });
});

it('leaves secrets out of the form', () => {
  const form = ofForm(SCHEMA);
  expect(Object.keys(form.properties ?? {})).toEqual(['greeting', 'words', 'step']);
  expect(form.required).toEqual(['greeting']);
});

it('reads and writes JSON pointers', () => {
  expect(steps('/a~1b/~0c/0')).toEqual(['a/b', '~c', '0']);
  expect(join(['a/b', '~c', 0])).toBe('/a~1b/~0c/0');
  expect(below('/settings', '/settings/a')).toBe('/a');
  expect(below('/settings', '/settingsa')).toBeNull();
});

it('takes a JSON object for settings, and nothing else', () => {
  expect(parse('{"a": 1}').value).toEqual({ a: 1 });
  expect(parse('[1]').value).toBeNull();
  expect(parse('{').value).toBeNull();
});

const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

it.each([
  [`{"a": "${'x'.repeat(70_000)}"}`, '68.4 KiB of JSON; the limit is 64 KiB'],
  [`{"a": "${'x'.repeat(10_000_000)}"}`, 'MiB of JSON; the limit is 64 KiB'],
  [nested(33), 'more than 32 levels, which is the limit'],
  [nested(10_000), 'more than 32 levels, which is the limit'],
])('takes nothing that the API would not', (text, reason) => {
  expect(parse(text)).toEqual({ value: null, reason: expect.stringContaining(reason) });
});

it('takes as many levels as the API', () => {
  expect(parse(nested(32)).value).not.toBeNull();
});

it('ignores the order of names when it compares settings', () => {
  expect(same({ a: 1, b: { c: [1], d: 2 } }, { b: { d: 2, c: [1] }, a: 1 })).toBe(true);
  expect(same({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
});
