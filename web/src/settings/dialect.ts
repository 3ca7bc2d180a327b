import type { Settings } from '../api/types';
import { bytes } from '../words/format';

/** The part of JSON Schema that plugins may describe their settings with. */
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

// What is not named here is not evaluated, whatever a schema says: a pattern may take for ever, a format is a hint.
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

/** The schema with what settings are checked by, and nothing else. */
export function checked(schema: Schema): Schema {
  return reduced(schema, CHECKED);
}

/** The schema of the form: secrets are no part of it, since they are no part of the settings. */
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

// What the API takes; what is far too large is not even looked at.
const MAX_BYTES = 64 * 1024;
const MAX_LEVELS = 32;
const MAX_TEXT = 1024 * 1024;

/** The settings that a text has, or why it has none. */
export function parse(text: string): { value: Settings } | { value: null; reason: string } {
  if (text.length > MAX_TEXT) return { value: null, reason: tooLarge(text.length) };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { value: null, reason: 'Settings are a JSON object: begin with { and end with }.' };
    }
    if (isDeeper(value, MAX_LEVELS)) {
      return { value: null, reason: `Settings have ${MAX_LEVELS} levels at the most. Nest them less deeply.` };
    }
    const size = new TextEncoder().encode(JSON.stringify(value)).length;
    return size > MAX_BYTES ? { value: null, reason: tooLarge(size) } : { value: value as Settings };
  } catch (error) {
    return { value: null, reason: error instanceof Error ? error.message : 'This is not JSON.' };
  }
}

function tooLarge(size: number): string {
  return `Settings have ${bytes(MAX_BYTES)} of JSON at the most, and these have ${bytes(size)}. Make them smaller.`;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}

export function pretty(settings: Settings): string {
  return JSON.stringify(settings, null, 2);
}

/** Whether both are the same JSON; the order of names means nothing. */
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
