import { type OutputUnit, validate } from '@cfworker/json-schema';
import type { FieldError } from '../api/types';
import { checked, type Schema, secretsOf } from './dialect';
import { join, steps } from './pointer';

/** Checks settings as the API does, so that errors appear while typing. The API decides. */
export function check(schema: Schema, settings: unknown, secrets: Iterable<string> = []): FieldError[] {
  const given = new Set(secrets);
  const rules = checked(schema);
  const declared = new Map(secretsOf(schema));
  const required = rules.required ?? [];
  // A secret is never a part of the settings.
  rules.required = required.filter((name) => !declared.has(name));
  const errors: FieldError[] = [];
  for (const name of declared.keys()) {
    if (typeof settings === 'object' && settings !== null && Object.hasOwn(settings, name)) {
      errors.push({ pointer: join([name]), message: 'is a secret; set it with the secrets, not in the settings' });
    } else if (required.includes(name) && !given.has(name)) {
      errors.push({ pointer: join([name]), message: 'is a secret that is required; set it with the secrets' });
    }
  }
  const { errors: found } = validate(settings, rules, '2020-12', undefined, false);
  for (const unit of found) {
    const error = describe(unit, rules);
    if (error && !errors.some((known) => known.pointer === error.pointer)) errors.push(error);
  }
  return errors;
}

function describe(unit: OutputUnit, rules: Schema): FieldError | null {
  const at = steps(unit.instanceLocation.replace(/^#/, ''));
  const value = valueAt(rules, unit.keywordLocation);
  switch (unit.keyword) {
    case 'properties':
    case 'items':
    case 'prefixItems':
      // The inner value has an error of its own.
      return null;
    case 'required': {
      const name = /property "(.*)"\.$/s.exec(unit.error)?.[1] ?? '';
      return { pointer: join([...at, name]), message: 'is required' };
    }
    case 'additionalProperties':
    case 'false':
      return unit.keyword === 'false'
        ? { pointer: join(at), message: 'is not a setting of this version; remove it' }
        : null;
    case 'type':
      return { pointer: join(at), message: `must be ${TYPES[String(value)] ?? String(value)}` };
    case 'enum':
      return { pointer: join(at), message: `must be one of ${JSON.stringify(value)}` };
    case 'const':
      return { pointer: join(at), message: `must be ${JSON.stringify(value)}` };
    default:
      return { pointer: join(at), message: MESSAGES[unit.keyword]?.(value) ?? unit.error };
  }
}

const TYPES: Record<string, string> = {
  object: 'an object',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'null',
};

const MESSAGES: Record<string, (value: unknown) => string> = {
  minLength: (value) => `must have at least ${value} characters`,
  maxLength: (value) => `must have at most ${value} characters`,
  minItems: (value) => `must have at least ${value} items`,
  maxItems: (value) => `must have at most ${value} items`,
  uniqueItems: () => 'must not have the same item twice',
  minimum: (value) => `must be at least ${value}`,
  maximum: (value) => `must be at most ${value}`,
  exclusiveMinimum: (value) => `must be more than ${value}`,
  exclusiveMaximum: (value) => `must be less than ${value}`,
  multipleOf: (value) => `must be a multiple of ${value}`,
};

function valueAt(schema: unknown, location: string): unknown {
  let value: unknown = schema;
  for (const step of steps(location.replace(/^#/, ''))) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined;
  }
  return value;
}
