import { expect, it } from 'vitest';
import { refusal } from '../versions/send';
import { bytes, duration, pause, relativeTime } from './format';
import { parts } from './written';

it('shows invisible characters by their code', () => {
  expect(parts('a\u001b[31m\u202eb')).toEqual([
    { text: 'a', code: null },
    { text: '␛', code: 'U+001B' },
    { text: '[31m', code: null },
    { text: 'U+202E', code: 'U+202E' },
    { text: 'b', code: null },
  ]);
});

it('leaves texts as they are, tabs and joined emoji included', () => {
  expect(parts('a\tb 👩‍👩‍👧')).toEqual([{ text: 'a\tb 👩‍👩‍👧', code: null }]);
});

it('says sizes and times with their units', () => {
  expect(bytes(1)).toBe('1 byte');
  expect(bytes(33_554_432)).toBe('32 MiB');
  expect(pause(45)).toBe('45 seconds');
  expect(pause(60)).toBe('1 minute');
  expect(pause(61)).toBe('2 minutes');
  expect(duration(950)).toBe('950 µs');
  expect(duration(1_500)).toBe('1.5 ms');
  expect(relativeTime('2026-01-25T12:00:00Z', Date.parse('2026-01-25T14:30:00Z'))).toBe('2 hours ago');
});

it('explains a refusal of S3, and shows nothing else of its answer', () => {
  expect(refusal(403, '<Error><Code>AccessDenied</Code><Message>Policy expired</Message></Error>')).toContain(
    'Try again',
  );
  expect(refusal(500, '<b>anything</b>')).toContain('(500)');
});
