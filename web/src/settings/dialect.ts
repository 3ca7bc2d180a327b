import type { Settings } from '../api/types';
import { bytes } from '../words/format';

/** The part of JSON Schema in which plugins may describe their settings. */
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  format?: string;
  readOnly?: boolean;
  writeOnly?: boolean;
}

// Keywords that are not listed here are never evaluated: a pattern may take for ever, and a format is only a hint.
const CHECKED = [
  'type',
  'enum',
  'const',
  'required',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
] as const;
const SHOWN = ['title', 'description', 'default', 'format', 'readOnly'] as const;

/** The schema with only the keywords that settings are checked by. */
export function checked(schema: Schema): Schema {
  return reduced(schema, CHECKED);
}

/** The schema of the form. It has no secrets, since secrets are not a part of the settings. */
export function ofForm(schema: Schema): Schema {
  const { properties = {}, required = [], ...rest } = reduced(schema, [...CHECKED, ...SHOWN]);
  const secrets = new Set(secretsOf(schema).map(([name]) => name));
  return {
    ...rest,
    properties: Object.fromEntries(Object.entries(properties).filter(([name]) => !secrets.has(name))),
    required: required.filter((name) => !secrets.has(name)),
  };
}

export function secretsOf(schema: Schema | null): [name: string, schema: Schema][] {
  return Object.entries(schema?.properties ?? {}).filter(([, property]) => property.writeOnly === true);
}

export function asSchema(given: Record<string, unknown> | null | undefined): Schema | null {
  return given ? (given as Schema) : null;
}

function reduced(schema: Schema, keywords: readonly (keyof Schema)[]): Schema {
  const result: Record<string, unknown> = {};
  for (const keyword of keywords) {
    if (Object.hasOwn(schema, keyword)) result[keyword] = schema[keyword];
  }
  if (schema.properties) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, reduced(property, keywords)]),
    );
  }
  if (schema.items) result.items = reduced(schema.items, keywords);
  if (typeof schema.additionalProperties === 'boolean') result.additionalProperties = schema.additionalProperties;
  return result;
}

// The limits of the API. A text that is far too large is not parsed.
const MAX_BYTES = 64 * 1024;
const MAX_LEVELS = 32;
const MAX_TEXT = 1024 * 1024;

/** The settings in a text, or the reason why it has none. */
export function parse(text: string): { value: Settings } | { value: null; reason: string } {
  if (text.length > MAX_TEXT) return { value: null, reason: tooLarge(text.length) };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { value: null, reason: 'The settings must be a JSON object. Begin with { and end with }.' };
    }
    if (isDeeper(value, MAX_LEVELS)) {
      return {
        value: null,
        reason: `The settings have more than ${MAX_LEVELS} levels, which is the limit. Nest them less deeply.`,
      };
    }
    const size = new TextEncoder().encode(JSON.stringify(value)).length;
    return size > MAX_BYTES ? { value: null, reason: tooLarge(size) } : { value: value as Settings };
  } catch (error) {
    return { value: null, reason: error instanceof Error ? error.message : 'This is not JSON.' };
  }
}

function tooLarge(size: number): string {
  return `The settings have ${bytes(size)} of JSON; the limit is ${bytes(MAX_BYTES)}. Make them smaller.`;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}

export function pretty(settings: Settings): string {
  return JSON.stringify(settings, null, 2);
}

/** True if both are the same JSON; the order of names does not matter. */
export function same(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}
